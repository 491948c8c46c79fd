package approve

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// guard is a watcher under test, and what it told.
type guard struct {
	options WatchOptions
	relist  time.Duration
	now     func() time.Time
	stop    context.CancelFunc
	ended   chan error

	mu      sync.Mutex
	records []Record
	audited []Record
}

func newGuard(t testing.TB, l *lobby, dir string, policy Policy) *guard {
	t.Helper()
	memory, err := OpenMemory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	g := &guard{ended: make(chan error, 1), relist: time.Hour, now: time.Now}
	g.options = WatchOptions{
		Policy: policy, Memory: memory, Began: new(time.Time),
		Open:     func(ctx context.Context) (*Caller, error) { return Open(ctx, l.gateway(), RequestedEvent) },
		Own:      func() (map[string]bool, error) { return map[string]bool{}, nil },
		Removed:  func(string) (bool, error) { return false, nil },
		Audit:    g.audit,
		Report:   g.tell,
		Watching: func(string) {},
		Waiting:  func(error, time.Duration) {},
	}
	return g
}

func (g *guard) audit(r Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.audited = append(g.audited, r)
	return nil
}

func (g *guard) tell(r Record) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.records = append(g.records, r)
}

func (g *guard) actions() (out []Action) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, r := range g.audited {
		out = append(out, r.Action)
	}
	return out
}

func (g *guard) start(t testing.TB) *guard {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	g.stop = cancel
	w := &watcher{WatchOptions: g.options, noted: map[wish]note{}, now: g.now, relist: g.relist}
	done := make(chan struct{})
	go func() {
		defer close(done)
		g.ended <- w.run(ctx)
		g.options.Memory.Close()
	}()
	t.Cleanup(func() { cancel(); <-done })
	return g
}

// end stops it and waits, so that its memory is free.
func (g *guard) end(t testing.TB) {
	t.Helper()
	g.stop()
	if err := <-g.ended; err != nil {
		t.Errorf("it ended with %v", err)
	}
}

// holdTime stops its clock, which then shows as much later as is stored.
func (g *guard) holdTime() *atomic.Int64 {
	began, later := time.Now(), new(atomic.Int64)
	g.now = func() time.Time { return began.Add(time.Duration(later.Load())) }
	return later
}

func eventually(t testing.TB, what string, met func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * time.Minute); !met(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// crowd are n requests, each by a device of its own.
func crowd(t testing.TB, n int, change func(*Request)) []Request {
	t.Helper()
	var out []Request
	for i := range n {
		key := make([]byte, 32)
		key[0], key[1], key[2] = byte(i), byte(i>>8), 7
		id, err := identity.FromSeed(key, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		r := asking(t, 0, change)
		r.RequestID, r.DeviceID, r.PublicKey = fmt.Sprintf("request-%d", i), id.DeviceID(), id.PublicKey()
		out = append(out, r)
	}
	return out
}

func TestAHundredAtOnceAreEachAdmittedOnce(t *testing.T) {
	l := openLobby(t)
	l.knock(crowd(t, 30, nil)[:10]...) // some were there before
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil)).start(t)
	var all sync.WaitGroup
	for _, r := range crowd(t, 100, nil)[10:] {
		all.Go(func() { l.knock(r) })
	}
	all.Wait()
	eventually(t, "all to be admitted", func() bool { approved, left := l.count(); return approved == 100 && left == 0 })
	g.end(t)
	slices.Sort(l.approved)
	if len(slices.Compact(l.approved)) != 100 || len(g.audited) != 100 || l.connects != 1 {
		t.Errorf("%d approvals, %d records, %d connects", len(l.approved), len(g.audited), l.connects)
	}
}

func TestOfTwentyRacingExactlyOneIsTheFirst(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	policy := readWritePolicy(rules(t, "first"), nil)
	g := newGuard(t, l, dir, policy).start(t)
	var all sync.WaitGroup
	for _, r := range crowd(t, 20, nil) {
		all.Go(func() { l.knock(r) })
	}
	all.Wait()
	eventually(t, "the others to be left", func() bool { return len(g.actions()) == 20 })
	g.end(t)
	// A crash loop, and then somebody removes the first one.
	for range 3 {
		g = newGuard(t, l, dir, policy).start(t)
		eventually(t, "a look at the list", func() bool { return len(g.actions()) == 19 })
		g.end(t)
		l.paired = nil
	}
	if len(l.approved) != 1 {
		t.Errorf("%q were admitted", l.approved)
	}
}

// breakOff leaves what a crash leaves in the middle of an approval.
func breakOff(t *testing.T, dir, deviceID string, first bool) {
	t.Helper()
	memory, err := OpenMemory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer memory.Close()
	if err := memory.reserve(deviceID, first, time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestACrashBeforeTheAnswerOpensNoSecondWindow(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	people := crowd(t, 3, nil)
	breakOff(t, dir, people[1].DeviceID, true)
	l.knock(people...)
	g := newGuard(t, l, dir, readWritePolicy(rules(t, "first"), nil)).start(t)
	eventually(t, "all to be answered", func() bool { return len(g.actions()) >= 3 })
	g.end(t)
	if !slices.Equal(l.approved, []string{people[1].RequestID}) {
		t.Errorf("%q were admitted", l.approved)
	}
}

// Its place is nobody else's, and it gets no second one.
func TestAnApprovalThatBrokeOffKeepsItsPlace(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	people := crowd(t, 3, nil)
	breakOff(t, dir, people[1].DeviceID, false)
	policy := readWritePolicy(rules(t, "token"), func(p *Policy) { p.Max = 1 })
	l.knock(people[0])
	g := newGuard(t, l, dir, policy).start(t)
	eventually(t, "a refusal", func() bool { return len(g.actions()) == 1 })
	l.knock(people[1:]...)
	eventually(t, "all to be answered", func() bool { return len(g.actions()) >= 3 })
	g.end(t)
	// Removed by somebody, it does not come back.
	l.paired = nil
	l.knock(people[1])
	g = newGuard(t, l, dir, policy).start(t)
	eventually(t, "the same ones again", func() bool { return len(g.actions()) >= 3 })
	g.end(t)
	if !slices.Equal(l.approved, []string{people[1].RequestID}) || g.options.Memory.data.Approved != 1 {
		t.Errorf("%q were admitted, and %d are counted", l.approved, g.options.Memory.data.Approved)
	}
}

// The one place of --approve-browser is that device's, and not used up by its absence.
func TestAnApprovalAsTheFirstThatBrokeOffCountsOnce(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	people := crowd(t, 3, nil)
	breakOff(t, dir, people[1].DeviceID, true)
	l.knock(people...)
	policy := readWritePolicy(rules(t, "first", "token"), func(p *Policy) { p.Max = 2 })
	g := newGuard(t, l, dir, policy).start(t)
	eventually(t, "all to be answered", func() bool { return len(g.actions()) >= 3 })
	g.end(t)
	approved := slices.Sorted(slices.Values(l.approved))
	if !slices.Equal(approved, []string{people[0].RequestID, people[1].RequestID}) || g.options.Memory.data.Approved != 2 {
		t.Errorf("%q were admitted, and %d are counted", approved, g.options.Memory.data.Approved)
	}
}

func TestTheMaximumOutlivesARestart(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	people := crowd(t, 9, nil)
	for i := range 3 {
		g := newGuard(t, l, dir, readWritePolicy(rules(t, "token"), func(p *Policy) { p.Max = 4 })).start(t)
		l.knock(people[3*i : 3*i+3]...)
		eventually(t, "all to be answered", func() bool { _, left := l.count(); return len(g.actions()) >= 3 && left == max(0, 3*i+3-4) })
		g.end(t)
	}
	if len(l.approved) != 4 {
		t.Errorf("%q were admitted", l.approved)
	}
}

// The audit file cannot be written, say, and the watch begins again when it can.
func TestTheTimeOfAWatchThatBrokeOffGoesOn(t *testing.T) {
	l, dir, began := openLobby(t), t.TempDir(), time.Time{}
	policy := readWritePolicy(rules(t, "token"), func(p *Policy) { p.For = time.Minute })
	broken := newGuard(t, l, dir, policy)
	broken.options.Began = &began
	broken.options.Audit = func(Record) error { return errors.New("no space left on device") }
	l.knock(crowd(t, 1, nil)...)
	if err := <-broken.start(t).ended; err == nil || began.IsZero() {
		t.Fatalf("it began at %v, and ended with %v", began, err)
	}
	began = began.Add(-2 * policy.For)
	g := newGuard(t, l, dir, policy)
	g.options.Began = &began
	g.start(t)
	eventually(t, "an answer", func() bool { return len(g.actions()) == 1 })
	g.end(t)
	if actions := g.actions(); actions[0] != LeftPending {
		t.Errorf("%v", actions)
	}
}

func TestWhatKnocksWhileTheGatewayIsAwayIsFoundAfterwards(t *testing.T) {
	l := openLobby(t)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil)).start(t)
	people := crowd(t, 6, nil)
	for _, r := range people {
		l.deaf = true
		l.knock(r)
		l.unplug()
		eventually(t, "it to be admitted", func() bool { _, left := l.count(); return left == 0 })
	}
	g.end(t)
	if len(l.approved) != 6 || len(g.audited) != 6 {
		t.Errorf("%q admitted, %d records", l.approved, len(g.audited))
	}
}

func TestALostEventIsMadeUpFor(t *testing.T) {
	l := openLobby(t)
	l.deaf = true
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil))
	g.relist = 20 * time.Millisecond
	g.start(t)
	eventually(t, "a first look", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.lists > 0 })
	l.knock(crowd(t, 1, nil)...)
	eventually(t, "it to be admitted", func() bool { approved, _ := l.count(); return approved == 1 })
	g.end(t)
}

func TestAForgedEventApprovesNothing(t *testing.T) {
	l := openLobby(t)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil)).start(t)
	people := crowd(t, 2, nil)
	admin := people[0]
	admin.Scopes = []string{"operator.admin"}
	l.deaf = true
	l.knock(admin)
	l.mu.Lock()
	l.announce(wireEntry(people[0]))                         // milder than what is listed
	l.announce(wireEntry(people[1]))                         // not listed at all
	l.announce(map[string]any{"requestId": 7, "scopes": ""}) // nothing
	l.mu.Unlock()
	eventually(t, "the listed one to be left", func() bool { return len(g.actions()) == 1 })
	g.end(t)
	if len(l.approved) != 0 || g.audited[0].Action != LeftPending || !strings.Contains(g.audited[0].Reason, "operator.admin") {
		t.Errorf("%q admitted, records %+v", l.approved, g.audited)
	}
}

func TestWhatChangesUnderTheApprovalIsUndone(t *testing.T) {
	stranger := wireEntry(asking(t, 99, nil))
	with := func(field string, value any) func(map[string]any) map[string]any {
		return func(entry map[string]any) map[string]any {
			changed := map[string]any{}
			for k, v := range entry {
				changed[k] = v
			}
			changed[field] = value
			return changed
		}
	}
	for name, test := range map[string]struct {
		instead func(map[string]any) map[string]any
		before  bool // the device that is approved instead was paired
		removed bool
	}{
		"another device":                    {func(map[string]any) map[string]any { return stranger }, false, true},
		"another device that is known":      {func(map[string]any) map[string]any { return stranger }, true, false},
		"another key":                       {with("publicKey", stranger["publicKey"]), false, true},
		"more scopes":                       {with("scopes", []string{"operator.read", "operator.admin"}), false, true},
		"another role":                      {with("roles", []string{"operator", "node"}), false, true},
		"fewer scopes, which is no trouble": {with("scopes", []string{}), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			l := openLobby(t)
			l.approving = func(entry map[string]any) (map[string]any, string) { return test.instead(entry), "" }
			if test.before {
				l.paired = append(l.paired, stranger)
			}
			l.knock(crowd(t, 1, nil)...)
			g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil)).start(t)
			eventually(t, "the approval", func() bool { approved, _ := l.count(); return approved == 1 })
			wrong := !strings.HasPrefix(name, "fewer")
			eventually(t, "its record", func() bool { return !wrong || slices.Contains(g.actions(), Undone) })
			g.end(t)
			if (len(l.removed) == 1) != test.removed {
				t.Errorf("removed %q", l.removed)
			}
		})
	}
}

// The note that it is in cannot be written, as on a full disk: it goes out all the same.
func TestWhatChangedIsUndoneThoughItCannotBeNoted(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	memory := filepath.Join(dir, "approvals.json")
	l.approving = func(entry map[string]any) (map[string]any, string) {
		if err := errors.Join(os.Remove(memory), os.Mkdir(memory, 0o700)); err != nil {
			t.Error(err)
		}
		changed := maps.Clone(entry)
		changed["scopes"] = []string{"operator.read", "operator.admin"}
		return changed, ""
	}
	l.knock(crowd(t, 1, nil)...)
	g := newGuard(t, l, dir, readWritePolicy(rules(t, "token"), func(p *Policy) { p.Max = 1 })).start(t)
	if err := <-g.ended; err == nil {
		t.Error("the watch goes on without its memory")
	}
	if len(l.removed) != 1 || !slices.Contains(g.actions(), Undone) {
		t.Errorf("removed %q, records %q", l.removed, g.actions())
	}
}

// A place that a refusal frees is for those who were too many, whose requests still wait.
func TestAPlaceThatGetsFreeIsTaken(t *testing.T) {
	l, dir := openLobby(t), t.TempDir()
	people := crowd(t, 2, nil)
	breakOff(t, dir, people[1].DeviceID, false)
	l.approving = func(entry map[string]any) (map[string]any, string) {
		if entry["requestId"] == people[1].RequestID {
			return nil, `{"code":"INVALID_REQUEST","message":"unknown requestId"}`
		}
		return entry, ""
	}
	l.knock(people...)
	g := newGuard(t, l, dir, readWritePolicy(rules(t, "token"), func(p *Policy) { p.Max = 1 }))
	g.relist = 20 * time.Millisecond
	g.start(t)
	eventually(t, "the other one to be admitted", func() bool { approved, _ := l.count(); return approved == 1 })
	g.end(t)
	if !slices.Equal(l.approved, []string{people[0].RequestID}) {
		t.Errorf("%q were admitted", l.approved)
	}
}

// Somebody seeds one more device beside the gateway, or the bridge joins one, and then
// the first operator asks.
func TestWhatWasSeededMeanwhileIsOurs(t *testing.T) {
	l := openLobby(t)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "first"), nil))
	g.relist = 20 * time.Millisecond
	seeded := crowd(t, 2, nil)[1]
	var mu sync.Mutex
	own, asked := map[string]bool{}, 0
	g.options.Own = func() (map[string]bool, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		return maps.Clone(own), nil
	}
	g.start(t)
	eventually(t, "a first look", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.lists > 0 })
	mu.Lock()
	own[seeded.DeviceID] = true
	mu.Unlock()
	l.mu.Lock()
	l.paired = append(l.paired, wireEntry(seeded))
	l.mu.Unlock()
	l.knock(crowd(t, 1, nil)...)
	eventually(t, "the first one to be admitted", func() bool { approved, _ := l.count(); return approved == 1 })
	g.end(t)

	// One that is nobody's here keeps the others out, and is not asked about at each look.
	l = openLobby(t)
	l.paired = append(l.paired, wireEntry(seeded))
	l.knock(crowd(t, 1, nil)...)
	own, asked = map[string]bool{}, 0
	options := g.options
	g = newGuard(t, l, t.TempDir(), options.Policy)
	g.options.Own, g.relist = options.Own, 5*time.Millisecond
	g.start(t)
	eventually(t, "some looks", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.lists > 20 })
	g.end(t)
	if len(l.approved) != 0 || asked > 10 {
		t.Errorf("%q admitted, asked %d times", l.approved, asked)
	}
}

// It has the gateway's token still, and asks as a new device would.
func TestWhatSomebodyRemovedIsLeftToAPerson(t *testing.T) {
	l := openLobby(t)
	people := crowd(t, 3, nil)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil))
	g.relist = 5 * time.Millisecond
	later := g.holdTime()
	g.options.Removed = func(deviceID string) (bool, error) {
		if deviceID == people[1].DeviceID && later.Load() == 0 {
			return false, errors.New("the ledger cannot be read")
		}
		return deviceID == people[0].DeviceID, nil
	}
	l.knock(people...)
	g.start(t)
	eventually(t, "all to be answered", func() bool { return len(g.actions()) == 3 })
	later.Store(int64(time.Hour))
	eventually(t, "one that can be told by now", func() bool { return len(g.actions()) == 4 })
	g.end(t)
	if !slices.Equal(l.approved, []string{people[2].RequestID, people[1].RequestID}) || !strings.Contains(g.audited[1].Reason, "cannot be read") {
		t.Errorf("%q were admitted, records %+v", l.approved, g.audited)
	}
}

func TestTenThousandPendingAreNoTrouble(t *testing.T) {
	l := openLobby(t)
	// What an attacker with the gateway's token can do: fill the list.
	for _, r := range crowd(t, 10000, func(r *Request) {
		r.Scopes = []string{"operator.admin"}
		r.DisplayName = "evil\x1b[2J\nname " + strings.Repeat("x", 300)
	}) {
		l.pending = append(l.pending, wireEntry(r))
	}
	good := asking(t, 200, func(r *Request) { r.RequestID = "good" })
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil)).start(t)
	eventually(t, "the flood to be told", func() bool { return len(g.actions()) == notesAtAll })
	for range 5 {
		l.knock(Request{RequestID: "noise", Device: good.Device, Roles: []string{"node"}})
	}
	l.knock(good)
	eventually(t, "the good one to be admitted", func() bool { approved, _ := l.count(); return approved == 1 })
	// A look at the list may be under way.
	eventually(t, "no more memory than before, but for 16 MB", func() bool {
		runtime.GC()
		runtime.ReadMemStats(&after)
		return int64(after.HeapAlloc)-int64(before.HeapAlloc) <= 16<<20
	})
	g.end(t)
	if !slices.Equal(l.approved, []string{"good"}) || len(g.audited) > notesAtAll+2 {
		t.Errorf("%q admitted, %d records", l.approved, len(g.audited))
	}
	for _, r := range g.audited {
		if strings.ContainsAny(r.Name, "\x1b\n") {
			t.Fatalf("the name is %q", r.Name)
		}
	}
}

// A gateway renews a request of a device that comes again, from elsewhere, say.
func TestARequestThatChangesUnderItsIDIsJudgedAgain(t *testing.T) {
	l := openLobby(t)
	outside := crowd(t, 1, func(r *Request) { r.RemoteIP = "198.51.100.7" })
	l.knock(outside...)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "cidr:192.0.2.0/24"), nil))
	g.relist = 5 * time.Millisecond
	g.start(t)
	eventually(t, "a look after it was left", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(g.actions()) > 0 && l.lists > 5
	})
	l.mu.Lock()
	l.pending[0] = wireEntry(crowd(t, 1, nil)[0])
	l.mu.Unlock()
	eventually(t, "it to be admitted", func() bool { approved, _ := l.count(); return approved == 1 })
	g.end(t)
	if !slices.Equal(g.actions(), []Action{LeftPending, Approving}) {
		t.Errorf("records %v", g.actions())
	}
}

// The gateway's database was locked for a moment, say.
func TestWhatTheGatewayRefusedIsTriedAgainLater(t *testing.T) {
	l := openLobby(t)
	calls := 0
	l.approving = func(entry map[string]any) (map[string]any, string) {
		if calls++; calls < 3 {
			return nil, `{"code":"UNAVAILABLE","message":"database is locked"}`
		}
		return entry, ""
	}
	l.knock(crowd(t, 1, nil)...)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil))
	g.relist = 5 * time.Millisecond
	later := g.holdTime()
	g.start(t)
	for times := range 3 {
		later.Store(int64(times) * int64(time.Hour))
		eventually(t, "a try", func() bool {
			return slices.Equal(g.actions(), []Action{Approving, Refused, Approving, Refused, Approving}[:min(2*times+2, 5)])
		})
	}
	g.end(t)
}

func TestWhatTheGatewayRefusesToApproveIsNotTriedAgainAtOnce(t *testing.T) {
	l := openLobby(t)
	calls := 0
	l.approving = func(map[string]any) (map[string]any, string) { calls++; return nil, missingScope }
	l.knock(crowd(t, 1, nil)...)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "first"), nil))
	g.relist = 5 * time.Millisecond
	g.holdTime()
	g.start(t)
	eventually(t, "some looks", func() bool { l.mu.Lock(); defer l.mu.Unlock(); return l.lists > 5 })
	g.end(t)
	if calls != 1 || !slices.Equal(g.actions(), []Action{Approving, Refused}) {
		t.Errorf("%d calls, records %v", calls, g.actions())
	}
}

func TestNothingIsApprovedThatCannotBeRecorded(t *testing.T) {
	l := openLobby(t)
	l.knock(crowd(t, 1, nil)...)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "first"), nil))
	full := errors.New("the disk is full")
	g.options.Audit = func(Record) error { return full }
	g.start(t)
	if err := <-g.ended; !errors.Is(err, full) || len(l.approved) != 0 {
		t.Errorf("ended with %v, admitted %q", err, l.approved)
	}
	if taken := g.options.Memory.data.First.DeviceID; taken != "" {
		t.Errorf("the first place is taken by %s", taken)
	}
}

func TestARefusedConnectionIsNotTriedAgain(t *testing.T) {
	l := openLobby(t)
	l.refusal = unauthorized
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "token"), nil)).start(t)
	var refusal *protocol.Refusal
	if err := <-g.ended; !errors.As(err, &refusal) || l.connects != 1 {
		t.Errorf("ended with %v after %d connects", err, l.connects)
	}
}

func TestAPolicyWithoutGroundEndsTheWatch(t *testing.T) {
	l := openLobby(t)
	l.version = "2026.5.28"
	l.knock(crowd(t, 1, func(r *Request) { r.RemoteIP = "" })...)
	g := newGuard(t, l, t.TempDir(), readWritePolicy(rules(t, "local", "cidr:0.0.0.0/0"), nil)).start(t)
	var refused *PolicyError
	if err := <-g.ended; !errors.As(err, &refused) || len(l.approved) != 0 {
		t.Errorf("ended with %v, admitted %q", err, l.approved)
	}
}

func TestTwoCannotWatchWithOneMemory(t *testing.T) {
	dir := t.TempDir()
	first, err := OpenMemory(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if second, err := OpenMemory(ctx, dir); err == nil {
		t.Errorf("a second one has %s", second.path)
	}
	first.Close()
}

// Those who come one by one are each a reason to look at the list.
func TestAFloodThatTricklesIsToldInPart(t *testing.T) {
	var told []string
	budget, now := noteBudget{}, time.Now()
	for range 6000 {
		now = now.Add(100 * time.Millisecond)
		if budget.take(now) {
			told = append(told, "a request")
		}
		budget.flush(now, func(r Record) { told = append(told, r.Reason) })
	}
	if limit := 10 * (notesAtAll + 2); len(told) > limit {
		t.Errorf("%d lines in ten minutes, and %d are enough", len(told), limit)
	}
	if !slices.ContainsFunc(told, func(line string) bool { return strings.HasPrefix(line, "5") && strings.Contains(line, "more requests") }) {
		t.Errorf("the others are not counted")
	}
}
