package approve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// RequestedEvent is what a gateway says when a device has asked to be paired. It
// drops the event for a connection that is slow, so it is a reason to look at
// the list, and never what is judged.
const RequestedEvent = "device.pair.requested"

const (
	// relist is how long a dropped event can go unnoticed.
	relist = 30 * time.Second
	// freshness is how old the list may be from which a request is approved.
	freshness = 250 * time.Millisecond
	// callTimeout bounds one call; listing 10,000 requests takes a gateway
	// seconds at most.
	callTimeout = 30 * time.Second
)

// WatchOptions say what is watched, and what is done with each request.
type WatchOptions struct {
	Policy Policy
	// Open makes a connection that may list and approve, and that hears
	// [RequestedEvent].
	Open func(context.Context) (*Caller, error)
	// AuthMode is what the gateway's configuration says; the gateway's own word
	// counts first.
	AuthMode string
	// Own are the devices, by id, that are not somebody's for FirstOperator. It
	// is asked once a connection, and where an operator is paired whom it did not have.
	Own func() (map[string]bool, error)
	// Removed tells of a device that is not paired whether somebody removed it. It is
	// asked before each approval of one.
	Removed func(deviceID string) (bool, error)
	Memory  *Memory
	// Began is when the gateway first answered, zero until then; [Policy.For] counts from
	// there, also for a watch that follows one that ended with an error.
	Began *time.Time
	// Audit keeps a record for good. Where it fails nothing is approved.
	Audit func(Record) error
	// Tell, Watching and Waiting are for people.
	Report   func(Record)
	Watching func(server string)
	Waiting  func(why error, pause time.Duration)
}

// Watch answers pairing requests by the policy until the context ends, which is
// no error. It reads the list when it has connected, at every event, and now and
// then; it connects again whenever the connection is lost.
//
// Errors end it: a [*PolicyError], a [*MemoryError], the audit's, or a refusal
// of the connection that does not pass by itself.
func Watch(ctx context.Context, options WatchOptions) error {
	w := &watcher{WatchOptions: options, noted: map[wish]note{}, now: time.Now, relist: relist}
	return w.run(ctx)
}

// wish is a request with what a gateway changes under its id, when the device asks for
// the same again; 2026.9.6 then gives it another five minutes, too.
type wish struct {
	requestID, remoteIP, clientID, clientMode string
	repair                                    bool
}

func wishOf(r Request) wish { return wish{r.RequestID, r.RemoteIP, r.ClientID, r.ClientMode, r.Repair} }

// note is of a request that is still pending, and told: it is outside the policy, or not
// to be tried before a time.
type note struct {
	pause time.Duration
	again time.Time
}

func (n note) isOutside() bool { return n.again.IsZero() }

const (
	// firstHold and lastHold are how long what may pass by itself is left alone, such as
	// a locked database, and what does not.
	firstHold = time.Minute
	lastHold  = time.Hour
)

type watcher struct {
	WatchOptions
	now    func() time.Time
	relist time.Duration
	own    map[string]bool
	ownAt  time.Time // when they were asked for
	// noted are the pending requests that were reported. What is not listed any more
	// is forgotten.
	noted  map[wish]note
	budget noteBudget
}

func (w *watcher) run(ctx context.Context) error {
	retry := backoff{}
	for {
		err := w.session(ctx, &retry)
		if ctx.Err() != nil {
			return nil
		}
		pause, again := retry.after(err)
		if !again {
			return err
		}
		w.Waiting(err, pause)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return nil
		}
	}
}

// session is one connection, from its start to its end.
func (w *watcher) session(ctx context.Context, retry *backoff) error {
	caller, err := w.Open(ctx)
	if err != nil {
		return err
	}
	defer caller.Close()
	if err := w.Policy.check(cmp.Or(caller.AuthMode, w.AuthMode), caller.Server); err != nil {
		return err
	}
	if w.own, err = w.Own(); err != nil {
		return err
	}
	w.own[caller.stored], w.ownAt = true, w.now()
	if w.Began.IsZero() {
		*w.Began = w.now()
	}
	w.Watching(caller.Server)
	for {
		if err := w.pass(ctx, caller.Client); err != nil {
			return err
		}
		retry.reset()
		if err := nextRequest(ctx, caller.Client, w.relist); err != nil {
			return err
		}
	}
}

// nextRequest waits for an event, or for the time to look without one.
func nextRequest(ctx context.Context, client *protocol.Client, relist time.Duration) error {
	waiting, cancel := context.WithTimeout(ctx, relist)
	defer cancel()
	err := client.NextEvent(waiting)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case waiting.Err() != nil:
		return nil
	}
	return err
}

// pass reads the list and answers what is in it. What is approved is judged from
// a list that is fresh: where approving takes its time, it is read again.
func (w *watcher) pass(ctx context.Context, client *protocol.Client) error {
	out := map[string]verdict{}
	for {
		pending, paired, err := w.list(ctx, client)
		if err != nil {
			return err
		}
		listed := w.now()
		if len(pending) > 0 {
			w.learnOwn(paired)
		}
		in := situation{paired: map[string]Paired{}, own: w.own, out: out, watchedFor: listed.Sub(*w.Began)}
		for _, device := range paired {
			in.paired[device.DeviceID] = device
		}
		if err := w.settle(in.paired); err != nil {
			return err
		}
		w.forgetAnswered(pending)
		done, err := w.answer(ctx, client, pending, in, listed)
		if done || err != nil {
			return err
		}
	}
}

// ownAge is how long our own devices are not asked for again, where an operator is
// paired who is not among them: that one may be a stranger's, and stay.
const ownAge = time.Second

// learnOwn finds out whether an operator is ours whom somebody has seeded since the
// connection was made, or the bridge has joined. What cannot be read at this moment
// says nothing.
func (w *watcher) learnOwn(paired []Paired) {
	isUnknown := func(device Paired) bool { return !w.own[device.DeviceID] && device.mayBeOperator() }
	if !w.mayChange() || w.now().Sub(w.ownAt) < ownAge || !slices.ContainsFunc(paired, isUnknown) {
		return
	}
	if own, err := w.Own(); err == nil {
		maps.Copy(w.own, own)
	}
	w.ownAt = w.now()
}

func (w *watcher) list(ctx context.Context, client *protocol.Client) ([]Request, []Paired, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return List(ctx, client)
}

// answer goes through one list; done is false where the list got too old.
func (w *watcher) answer(ctx context.Context, client *protocol.Client, pending []Request, in situation, listed time.Time) (done bool, err error) {
	for _, request := range pending {
		if n, told := w.noted[wishOf(request)]; told && n.isOutside() && !w.mayChange() || w.now().Before(n.again) {
			continue
		}
		memory := w.Memory.data
		in.approved, in.firstTakenBy, in.firstDone = memory.Approved, memory.First.DeviceID, memory.First.Done
		in.hasPlace = memory.isCounted(request.DeviceID)
		v := w.Policy.judge(request, in)
		if v.admits() {
			v = w.keepOut(request, v, in)
		}
		if !v.admits() {
			if err := w.leave(request, v); err != nil {
				return false, err
			}
			continue
		}
		if w.now().Sub(listed) > freshness {
			return false, nil
		}
		device, err := w.admit(ctx, client, request, v, in)
		if err != nil {
			return false, err
		}
		if device.DeviceID != "" {
			in.paired[device.DeviceID] = device
		}
	}
	w.budget.flush(w.now(), w.Report)
	return true, nil
}

// keepOut leaves a device to a person that somebody removed. It asks once a pass: where
// that takes its time, the list is read again.
func (w *watcher) keepOut(request Request, v verdict, in situation) verdict {
	if _, known := in.paired[request.DeviceID]; known {
		return v
	}
	out, asked := in.out[request.DeviceID]
	if !asked {
		switch removed, err := w.Removed(request.DeviceID); {
		case err != nil:
			out = verdict{why: "whether somebody removed this device cannot be told: " + err.Error(), passing: true}
		case removed:
			out = verdict{why: "somebody removed this device, and a policy brings none back"}
		}
		in.out[request.DeviceID] = out
	}
	if out.admits() {
		return v
	}
	out.upgrade = v.upgrade
	return out
}

// mayChange: a request that stays pending as it is is judged once. Nothing else that a
// later look could bring makes a policy milder, except that the first operator's
// place gets free again.
func (w *watcher) mayChange() bool { return w.Policy.Uses(FirstOperator) && !w.Memory.data.First.Done }

// leave keeps and tells once that a request stays pending. A flood is told in
// part: the file and the log must not grow as somebody likes.
func (w *watcher) leave(request Request, v verdict) error {
	_, told := w.noted[wishOf(request)]
	if v.passing {
		w.hold(request)
	} else {
		w.noted[wishOf(request)] = note{}
	}
	if told || !w.budget.take(w.now()) {
		return nil
	}
	return w.record(LeftPending, request, v, v.why)
}

// hold leaves a request alone for a while, each time for longer.
func (w *watcher) hold(request Request) {
	pause := min(max(2*w.noted[wishOf(request)].pause, firstHold), lastHold)
	w.noted[wishOf(request)] = note{pause, w.now().Add(pause)}
}

// forgetAnswered keeps noted no larger than the list.
func (w *watcher) forgetAnswered(pending []Request) {
	if len(w.noted) == 0 {
		return
	}
	still := map[wish]note{}
	for _, request := range pending {
		if known, told := w.noted[wishOf(request)]; told {
			still[wishOf(request)] = known
		}
	}
	w.noted = still
}

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	// lockout is how long a gateway keeps an address out after ten failures
	// within a minute (2026.5.28 and later), where it does not say.
	lockout = 5 * time.Minute
)

// backoff decides when to connect again.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

// after tells how long to pause after this error, and whether to go on at all.
// What a gateway refuses for good must not be repeated: it counts failures.
func (b *backoff) after(err error) (pause time.Duration, again bool) {
	pause = cmp.Or(b.next, firstPause)
	b.next = min(2*pause, maxPause)
	var refusal *protocol.Refusal
	var transport *protocol.TransportError
	var closed *protocol.CloseError
	switch {
	case errors.As(err, &refusal):
		asked := time.Duration(refusal.RetryAfterMs) * time.Millisecond
		switch refusal.Kind {
		case protocol.Starting, protocol.InternalClose, protocol.AuthChanged:
			return max(pause, asked), true
		case protocol.RateLimited:
			return cmp.Or(asked, lockout), true
		}
		return 0, false
	case errors.As(err, &transport):
		switch transport.Kind {
		case protocol.TLS, protocol.BadURL, protocol.NotGateway:
			return 0, false
		}
		return pause, true
	case errors.As(err, &closed), errors.Is(err, context.DeadlineExceeded):
		return pause, true
	}
	return 0, false
}

// Requests that stay pending are reported at most this often.
const (
	notesEach  = time.Minute
	notesAtAll = 60
)

// noteBudget counts what was reported, and what was not.
type noteBudget struct {
	since    time.Time
	reported int
	skipped  int
	flushed  time.Time
}

func (b *noteBudget) take(now time.Time) bool {
	if now.Sub(b.since) > notesEach {
		b.since, b.reported = now, 0
	}
	if b.reported >= notesAtAll {
		b.skipped++
		return false
	}
	b.reported++
	return true
}

// flush says how many were skipped, as often: of those who come one by one each is a
// reason to look.
func (b *noteBudget) flush(now time.Time, tell func(Record)) {
	if b.skipped == 0 || now.Sub(b.flushed) <= notesEach {
		return
	}
	tell(Record{Action: LeftPending, Reason: fmt.Sprintf("%d more requests stay pending and are not told one by one", b.skipped)})
	b.skipped, b.flushed = 0, now
}
