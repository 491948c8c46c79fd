package gatewaytest_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// asRead is the volume as readers in these tests take it: every release of the
// SQLite era reads the database as the newest one does.
func (v volume) asRead() volume {
	if v.version == "2026.8.2" {
		v.version = sqliteEra
	}
	return v
}

// token is the operator's token of a device in the store; empty where there is
// no such device.
func (v volume) token(t *testing.T, deviceID string) string {
	t.Helper()
	return v.asRead().paired(t)[deviceID].Tokens["operator"].Token
}

// While clients come and go, a process for each device seeds the live gateway,
// and others take some out again.
func TestSeedingBesideALiveGatewayLosesNothing(t *testing.T) {
	onEachEra(t, func(t *testing.T, version string) {
		v := newVolume(t, version, gatewaytest.CopyState(t, version))
		v.seed(t, "--client", "caller-0", "--client", "caller-1")
		g := v.start(t)
		g.WaitReady(t)
		own := v.pairedByTheGateway(t)
		const count = 200
		calls := v.keepCalling(t, "caller-0", "caller-1")
		for i := range count {
			v.seed(t, "--client", fmt.Sprintf("live-%d", i))
			if i%10 == 5 { // not the one just seeded: that might be easier
				v.revoke(t, fmt.Sprintf("live-%d", i-3))
			}
		}
		t.Logf("%d devices seeded while clients connected %s", count, calls.end(t))
		check := func(t *testing.T) {
			store := v.survey(t)
			store.wantPaired(t, own)
			for i := range count {
				client := fmt.Sprintf("live-%d", i)
				if i%10 != 2 || i+3 >= count {
					v.wantBundle(t, store, client)
				} else if id := must(readIdentity(v.bundle(client)))(t); store.devices[id].PublicKey != "" {
					t.Errorf("%s was revoked and is there", client)
				}
			}
		}
		t.Run("at the end all are there or gone", check)
		for _, client := range []string{"live-0", fmt.Sprintf("live-%d", count-1)} {
			v.wantLetIn(t, must(readIdentity(v.bundle(client)))(t), standardScopes, "--state-dir", v.bundle(client))
		}
		v.probe(t, "--auth=device", "--state-dir", v.bundle("live-2")).wantRefused(t, 12, "not-paired")
		if code := g.Stop(t); code != 0 {
			t.Errorf("the gateway ended with %d", code)
		}
		t.Run("and after the gateway's end", check)
		if version == sqliteEra {
			v.wantIntegrity(t)
		}
	})
}

// The devices that the gateway itself lets in meanwhile, on loopback, are as
// little to be lost as ours.
func TestSeedingBesideALiveGatewayKeepsWhatTheGatewayPairsMeanwhile(t *testing.T) {
	onEachEra(t, func(t *testing.T, version string) {
		v := newVolume(t, version, gatewaytest.CopyState(t, version))
		v.seed(t)
		g := v.start(t)
		g.WaitReady(t)
		ctx, cancel := context.WithCancel(t.Context())
		paired := make(chan []string)
		go func() {
			var ids []string
			defer func() { paired <- ids }()
			for ctx.Err() == nil {
				id, err := identity.New(time.Now())
				if err != nil {
					return
				}
				verdict := probe.Run(context.WithoutCancel(ctx), probe.Options{
					URL: g.URL, Auth: probe.AuthShared, Identity: id, GatewayToken: sharedToken, Scopes: standardScopes,
				})
				if verdict.OK {
					ids = append(ids, id.DeviceID())
				}
			}
		}()
		for i := range 40 {
			v.seed(t, "--client", fmt.Sprintf("live-%d", i))
		}
		cancel()
		ids := <-paired
		store := v.survey(t)
		lost := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return store.devices[id].PublicKey != "" })
		t.Logf("the gateway paired %d devices while 40 were seeded", len(ids))
		if len(ids) < 10 {
			t.Error("too few to show anything")
		}
		if len(lost) > 0 {
			t.Errorf("%d of the gateway's own %d devices are lost", len(lost), len(ids))
		}
	})
}

// The negative control: the same writes to the same gateway without the
// barrier. If none were lost, the tests above would show nothing.
func TestWithoutTheBarrierALiveGatewayLosesDevices(t *testing.T) {
	v := newVolume(t, jsonEra, gatewaytest.CopyState(t, jsonEra))
	v.seed(t, "--client", "caller-0", "--client", "caller-1")
	g := v.start(t)
	g.WaitReady(t)
	calls := v.keepCalling(t, "caller-0", "caller-1")
	const most = 1000
	var written []string
	lost := 0
	for len(written) < most && lost == 0 {
		written = append(written, v.pairWithoutBarrier(t, fmt.Sprintf("bare-%d", len(written))))
		time.Sleep(15 * time.Millisecond)
		devices := v.paired(t)
		for _, id := range written {
			if _, there := devices[id]; !there {
				lost++
			}
		}
	}
	t.Logf("%d of %d writes lost while clients connected %s", lost, len(written), calls.end(t))
	if lost == 0 {
		t.Errorf("none of %d writes was lost: the barrier is not shown to be of use", most)
	}
}

func (v volume) pairWithoutBarrier(t *testing.T, name string) string {
	t.Helper()
	session := must(seed.Open(t.Context(), seed.Options{StateDir: v.state, LockTimeout: time.Minute, Live: true}))(t)
	device := seed.Device{Name: name, PublicKey: newDevice(t).RawPublicKey(), Scopes: standardScopes}
	_, err := session.Pair(t.Context(), device)
	if closed := session.Close(); err != nil || closed != nil {
		t.Fatal(err, closed)
	}
	return device.ID()
}

// pairedByTheGateway lets the running gateway make a row of its own.
func (v volume) pairedByTheGateway(t *testing.T) string {
	t.Helper()
	id := newDevice(t)
	_ = must(approve.PairOverLoopback(t.Context(), approve.Options{
		Gateway:  approve.Gateway{URL: fmt.Sprintf("ws://127.0.0.1:%d", v.port), Token: sharedToken},
		Identity: id, Scopes: standardScopes,
	}))(t)
	return id.DeviceID()
}

// calling is clients that connect again and again.
type calling struct {
	cancel       context.CancelFunc
	wait         sync.WaitGroup
	calls, again atomic.Int64
	refused      atomic.Pointer[probe.Verdict]
}

// keepCalling makes seeded clients connect in a loop, each with its device
// token: at every such connect a JSON-era gateway rewrites its file.
func (v volume) keepCalling(t *testing.T, clients ...string) *calling {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c := &calling{cancel: cancel}
	for _, client := range clients {
		bundle := must(seed.ReadBundle(filepath.Join(v.state, "bootstrap", "clients"), client))(t)
		known := must(bundle.Credentials())(t)
		options := probe.Options{
			URL: fmt.Sprintf("ws://127.0.0.1:%d", v.port), Auth: probe.AuthDevice,
			Identity: known.Identity, DeviceToken: known.Token, Scopes: known.Scopes,
		}
		c.wait.Go(func() { c.call(ctx, options) })
	}
	t.Cleanup(func() { cancel(); c.wait.Wait() })
	return c
}

// call connects until the context ends. 2026.9.6 may close a connect that falls
// together with other writes, without a word ("Device pairing read publication
// was replaced" in its log); the next one must pass.
func (c *calling) call(ctx context.Context, options probe.Options) {
	for ctx.Err() == nil {
		verdict := probe.Run(ctx, options)
		c.calls.Add(1)
		if !verdict.OK && ctx.Err() == nil {
			c.again.Add(1)
			verdict = probe.Run(ctx, options)
		}
		if !verdict.OK && ctx.Err() == nil {
			c.refused.Store(&verdict)
		}
	}
}

// end ends them and tells how often they connected.
func (c *calling) end(t *testing.T) string {
	t.Helper()
	c.cancel()
	c.wait.Wait()
	if refused := c.refused.Load(); refused != nil {
		t.Errorf("a seeded client was refused meanwhile: %s %s", refused.Outcome, refused.Message)
	}
	return fmt.Sprintf("%d times, %d of them twice", c.calls.Load(), c.again.Load())
}

func (v volume) revoke(t *testing.T, name string) {
	t.Helper()
	result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"seed", "revoke", name}, Env: v.env()})
	if result.Code != 0 {
		t.Errorf("bootstrap seed revoke %s ended with %d\n%s", name, result.Code, result.Stderr)
	}
}

func (v volume) wantIntegrity(t *testing.T) {
	t.Helper()
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	var healthy string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&healthy); err != nil || healthy != "ok" {
		t.Errorf("the database is broken: %s (%v)", healthy, err)
	}
}

// One volume goes from release to release, each time started as a container is:
// by "bootstrap run" with the same clients. Nobody runs a doctor.
func TestAVolumeKeepsItsDevicesThroughUpgradesAndADowngrade(t *testing.T) {
	gatewaytest.Install(t, "2026.9.6") // which skips all of it under -short
	for _, path := range [][]string{
		{"2026.5.28", "2026.9.6", "2026.9.6", "2026.5.28"},
		{"2026.7.35", "2026.8.2", "2026.9.6"},
	} {
		t.Run(strings.Join(path, " to "), func(t *testing.T) {
			h := history{volume: newVolume(t, path[0], t.TempDir())}
			for i, version := range path {
				h.version = version
				back := i > 0 && path[i-1] > version
				t.Run(fmt.Sprintf("%d on %s", i+1, version), func(t *testing.T) { h.life(t, i, back) })
				if len(h.tokens) == 0 {
					t.Fatal("there is nothing that could be kept")
				}
			}
		})
	}
}

// history is a volume and what must stay true of it.
type history struct {
	volume
	self   string
	ids    map[string]string // device ids, by client
	tokens map[string]string // by device id
	gone   []string          // clients that were removed, in this order
}

// historyClients are seeded at every start: one stays, the others are removed.
var historyClients = []string{"stays", "leaves-first", "leaves-second"}

// life is one start of the gateway. In the first two a client is removed with
// the official CLI; before the third, older tools leave things behind.
func (h *history) life(t *testing.T, number int, downgraded bool) {
	if number == 2 {
		h.dropLeftovers(t)
	}
	flags := []string{"--handover=supervise"}
	for _, client := range historyClients {
		flags = append(flags, "--client", client)
	}
	g := h.run(t, flags...)
	g.WaitOutput(t, saysProven)
	if number == 0 {
		h.remember(t)
	}
	if got := must(readSelf(h.volume))(t); got != h.self {
		t.Errorf("the device was %s and is %s", h.self, got)
	}
	for _, id := range []string{h.self, h.ids["stays"]} {
		if token := h.token(t, id); token == "" {
			t.Errorf("%s is not in the store", id)
		} else if downgraded {
			// The files are long gone, and what the database holds is not read by this
			// release: paired anew, by the same keys.
			t.Logf("after the downgrade %.12s has its old token: %v", id, token == h.tokens[id])
		} else if token != h.tokens[id] {
			t.Errorf("%s has another token", id)
		}
	}
	// Only with the release known it is the files that count again.
	release := filepath.Dir(gatewaytest.Install(t, h.version)[1])
	h.wantLetIn(t, h.self, fullScopes, "--gateway-package", release)
	h.wantLetIn(t, h.ids["stays"], standardScopes, "--state-dir", h.bundle("stays"))
	if number < 2 {
		h.removeNext(t)
	}
	for _, client := range h.gone {
		h.probe(t, "--auth=device", "--state-dir", h.bundle(client)).wantRefused(t, 12, "not-paired")
		if h.token(t, h.ids[client]) != "" {
			t.Errorf("%s was removed and is back", client)
		}
	}
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
}

func (h *history) remember(t *testing.T) {
	h.self = must(readSelf(h.volume))(t)
	h.ids, h.tokens = map[string]string{}, map[string]string{h.self: h.token(t, h.self)}
	for _, client := range historyClients {
		id := must(readIdentity(h.bundle(client)))(t)
		h.ids[client], h.tokens[id] = id, h.token(t, id)
	}
}

// readSelf is the id of the state folder's own device, where this release looks.
func readSelf(v volume) (string, error) {
	if v.asRead().version != sqliteEra {
		return readIdentity(v.state)
	}
	db, err := sql.Open("sqlite", "file:"+databaseOf(v.state)+"?mode=rw&_pragma=busy_timeout(5000)")
	if err != nil {
		return "", err
	}
	defer func() { _ = db.Close() }()
	return database{db}.primary()
}

// removeNext removes a client as a person would, with the CLI beside the
// gateway. That needs the gateway's token: with the device token alone a device
// may remove itself only ("device pairing removal denied", 2026.5.28, 2026.7.35).
func (h *history) removeNext(t *testing.T) {
	client := historyClients[len(h.gone)+1]
	result := gatewaytest.Run(t, gatewaytest.Command{
		Argv: append(gatewaytest.Install(t, h.version), "devices", "remove", h.ids[client]),
		Env:  append(h.env(), "OPENCLAW_GATEWAY_TOKEN="+sharedToken),
	})
	if h.token(t, h.ids[client]) != "" {
		t.Fatalf("openclaw devices remove ended with %d, and %s is still there\n%s%s", result.Code, client, result.Stdout, result.Stderr)
	}
	h.gone = append(h.gone, client)
}

// dropLeftovers puts another device's files beside the database, as a tool for
// older releases does. What the migration left is there too.
func (h *history) dropLeftovers(t *testing.T) {
	if _, err := os.Stat(filepath.Join(h.state, "devices", "paired.json.migrated")); err != nil {
		t.Error(err)
	}
	other := volume{state: t.TempDir(), port: h.port + 1}
	other.seed(t)
	for _, path := range []string{"identity/device.json", "identity/device-auth.json", "devices/paired.json"} {
		// They end with this life: to an older release they would be the truth.
		t.Cleanup(func() { _ = os.Remove(filepath.Join(h.state, path)) })
		data := must(os.ReadFile(filepath.Join(other.state, path)))(t)
		to := filepath.Join(h.state, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// "openclaw config set" on an empty folder makes a database that has all
// tables, no identity and no device.
func TestADatabaseThatConfigSetMadeIsSeeded(t *testing.T) {
	v := newVolume(t, sqliteEra, t.TempDir())
	for _, setting := range [][]string{{"gateway.mode", "local"}, {"plugins.enabled", "false"}} {
		if result := v.cli(t, "config", "set", setting[0], setting[1]); result.Code != 0 {
			t.Fatalf("openclaw config set ended with %d\n%s", result.Code, result.Stderr)
		}
	}
	if _, err := os.Stat(databaseOf(v.state)); err != nil {
		t.Fatalf("it made no database: %v", err)
	}
	if got := v.seed(t, "--client", "agent-1"); got.Store != "sqlite" {
		t.Errorf("seeded into %s", got.Store)
	}
	self, token := v.self(t), v.token(t, v.self(t))
	if _, err := os.Lstat(filepath.Join(v.state, "identity")); err == nil {
		t.Error("files were made beside the database")
	}
	g := v.run(t, "--handover=supervise", "--require-paired", "--client", "agent-1")
	g.WaitOutput(t, saysProven)
	logged(t, g, saysUnchanged)
	if v.self(t) != self || v.token(t, self) != token {
		t.Error("the gateway's first start made another device or token")
	}
	v.wantLetIn(t, self, fullScopes)
	v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, "--state-dir", v.bundle("agent-1"))
	v.endsWithTheGateway(t, g, "supervise")

	t.Run("emptied, it is seeded again", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(v.state, "state")); err != nil {
			t.Fatal(err)
		}
		v.version = jsonEra // no database, so the files are read
		v.seed(t, "--client", "agent-1").wantOutcomes(t, "self created", "agent-1 created")
	})
}
