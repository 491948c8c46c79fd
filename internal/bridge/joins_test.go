package bridge

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/seed"
)

// joining makes the bridge join clients by do.
func joining(do func(ctx context.Context, name string) error) func(*Options, *Bridge) {
	return func(o *Options, _ *Bridge) { o.Join = do }
}

func TestAClientWithoutABundleIsJoinedOnceForAllItsConnections(t *testing.T) {
	gateway := newFake(t, welcome)
	var calls atomic.Int32
	release := make(chan struct{})
	b := serve(t, gateway.url(), func(o *Options, _ *Bridge) {
		dir := o.BundleDir
		o.Join = func(_ context.Context, name string) error {
			calls.Add(1)
			<-release
			makeBundle(t, dir, name, "operator.read")
			return nil
		}
	})
	var all sync.WaitGroup
	for range 8 {
		p := b.dial(t, "/agent-1", nil)
		p.send(reflecttConnect)
		all.Go(func() {
			if got := p.answer(); got["ok"] != true {
				t.Errorf("not let in: %v", got)
			}
		})
	}
	close(release)
	all.Wait()
	if n := calls.Load(); n != 1 {
		t.Errorf("joined %d times", n)
	}
	if joined := b.seen(Joined); len(joined) != 1 || joined[0].Client != "agent-1" {
		t.Errorf("events: %+v", joined)
	}
	// From then on the bundle is read as any other's.
	b.dial(t, "/agent-1", nil).letIn()
	if n := calls.Load(); n != 1 {
		t.Errorf("joined %d times", n)
	}
}

func TestAClientThatCannotBeJoinedIsToldTheCommandAndNotTriedAgainAtOnce(t *testing.T) {
	const command = "bootstrap approve 88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
	var calls atomic.Int32
	b := serve(t, newFake(t, welcome).url(), joining(func(context.Context, string) error {
		calls.Add(1)
		return &JoinError{Command: command, Err: errors.New("pairing required, says the gateway")}
	}))
	for range 3 {
		p := b.dial(t, "/agent-1", nil)
		p.send(reflecttConnect)
		if got := p.closed(); got.Code != 1008 || got.Reason != "bridge: client agent-1 is not paired: "+command {
			t.Errorf("closed with %d %q", got.Code, got.Reason)
		}
	}
	if n := calls.Load(); n != 1 {
		t.Errorf("tried %d times", n)
	}
	refused := b.seen(Refused)
	if len(refused) != 3 || refused[0].Hint != command || !strings.Contains(refused[0].Reason, "says the gateway") {
		t.Errorf("events: %+v", refused)
	}
	// Another one is not concerned, and no long name hides the command.
	long := strings.Repeat("n", 64)
	p := b.dial(t, "/"+long, nil)
	p.send(reflecttConnect)
	if got := p.closed(); got.Reason != "bridge: not paired: "+command {
		t.Errorf("closed with %q", got.Reason)
	}
}

func TestADeviceThatTheGatewayDoesNotKnowIsJoinedAnew(t *testing.T) {
	refuse := refuseWith(`{"code":"INVALID_REQUEST","message":"unauthorized: device token mismatch","details":{"code":"AUTH_DEVICE_TOKEN_MISMATCH"}}`, 1008, "unauthorized")
	var known atomic.Bool
	gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		if known.Load() {
			welcome(ctx, ws, connect)
			return
		}
		refuse(ctx, ws, connect)
	})
	var calls atomic.Int32
	b := serve(t, gateway.url(), joining(func(context.Context, string) error {
		known.Store(calls.Add(1) == 1)
		return nil
	}))
	makeBundle(t, b.dir, "agent-1", "operator.read")
	b.dial(t, "/agent-1", nil).letIn()

	// A join that does not help is one join, and then the gateway's own no.
	known.Store(false)
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	if got := p.closed(); got.Code != 1008 || !strings.Contains(got.Reason, "is not paired: bootstrap seed --reseed agent-1") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if n := calls.Load(); n != 2 {
		t.Errorf("joined %d times", n)
	}
}

func TestNobodyIsJoinedWhoHasNotShownTheTokenOrHasADeviceOfItsOwn(t *testing.T) {
	const token = "the-token-for-everybody"
	b := serve(t, newFake(t, welcome).url(), func(o *Options, _ *Bridge) {
		o.Token = token
		o.Join = func(_ context.Context, name string) error {
			t.Errorf("%s is joined", name)
			return errors.New("no")
		}
	})
	for name, connect := range map[string]string{
		"without the token":         reflecttConnect,
		"with its own device":       strings.Replace(strings.Replace(reflecttConnect, "gateway-token", token, 1), `"caps"`, `"device":{"id":"x"},"caps"`, 1),
		"with a frame that is none": `{"type":"req"}`,
	} {
		t.Run(name, func(t *testing.T) {
			p := b.dial(t, "/agent-1", nil)
			p.send(connect)
			if got := p.closed(); got.Code != 1008 {
				t.Errorf("closed with %d %q", got.Code, got.Reason)
			}
		})
	}
	for _, path := range []string{"/self", "/..", "/a/b"} {
		p := b.dial(t, path, nil)
		if got := p.closed(); got.Code != 1008 {
			t.Errorf("%s: closed with %d %q", path, got.Code, got.Reason)
		}
	}
}

func TestTheGatewaysOwnOperatorIsNoClient(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, seed.SelfName, "operator.admin")
	if got := b.dial(t, "/self", nil).closed(); got.Code != 1008 || !strings.Contains(got.Reason, "no client") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
}

// joinOne asks a bridge for a name, and returns its close reason; empty where the
// client was let in.
func joinOne(t *testing.T, b *served, name string) string {
	t.Helper()
	p := b.dial(t, "/"+name, nil)
	defer func() { _ = p.ws.CloseNow() }()
	p.send(reflecttConnect)
	if got := p.answer(); got["ok"] == true {
		return ""
	}
	return p.closed().Reason
}

func TestJoinsAreBoundedOverRestarts(t *testing.T) {
	gateway := newFake(t, welcome)
	dir := filepath.Join(t.TempDir(), "clients")
	fail := atomic.Bool{}
	begin := func() *served {
		return serve(t, gateway.url(), func(o *Options, _ *Bridge) {
			o.BundleDir = dir
			o.Join = func(_ context.Context, name string) error {
				if fail.Load() {
					return errors.New("no")
				}
				makeBundle(t, dir, name, "operator.read")
				return nil
			}
		})
	}
	makeBundle(t, dir, "named", "operator.read") // by a person, who may name any number
	first := begin()
	for i := range maxJoined - 1 {
		if reason := joinOne(t, first, fmt.Sprint("agent-", i)); reason != "" {
			t.Fatal(reason)
		}
	}
	// One that fails counts: the gateway may have its request.
	fail.Store(true)
	if reason := joinOne(t, first, "failed"); !strings.Contains(reason, "cannot be joined") {
		t.Fatal(reason)
	}
	fail.Store(false)
	first.stop()

	again := begin()
	for range 2 {
		if reason := joinOne(t, again, "one-more"); reason != "bridge: client one-more is not paired: bootstrap seed --client one-more" {
			t.Errorf("after a restart: %q", reason)
		}
	}
	if _, err := os.Lstat(filepath.Join(dir, "one-more")); err == nil {
		t.Error("it has a bundle")
	}
	for _, name := range []string{"agent-0", "named", "failed"} {
		if reason := joinOne(t, again, name); reason != "" {
			t.Errorf("%s: %s", name, reason)
		}
	}
	// Who removes a bundle makes room.
	if err := os.RemoveAll(filepath.Join(dir, "agent-1")); err != nil {
		t.Fatal(err)
	}
	if reason := joinOne(t, again, "one-more"); reason != "" {
		t.Error(reason)
	}
}

func TestFailedJoinsAreRememberedForATime(t *testing.T) {
	j := joins{}
	for i := range maxJoined {
		_ = j.once(t.Context(), fmt.Sprint("agent-", i), func() error { return errors.New("no") })
	}
	if _, _, err := j.begin("one-more", time.Now()); err == nil {
		t.Error("there was no room")
	}
	if _, mine, err := j.begin("one-more", time.Now().Add(2*joinHoldOff)); err != nil || !mine {
		t.Errorf("there was room: %v", err)
	}
}

func TestEveryBundleGetsATokenOfItsOwnWhereThatIsAskedFor(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(o *Options, _ *Bridge) { o.OwnTokens = true })
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	if got := p.closed(); got.Code != 1008 || !strings.Contains(got.Reason, "bridge token") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	path := filepath.Join(bundle.Dir, "bridge-token")
	made, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	p = b.dial(t, "/agent-1", nil)
	p.send(strings.Replace(reflecttConnect, "gateway-token", strings.TrimSpace(string(made)), 1))
	if got := p.answer(); got["ok"] != true {
		t.Errorf("not let in with it: %v", got)
	}
	if now, err := os.ReadFile(path); err != nil || string(now) != string(made) {
		t.Errorf("the token was replaced: %v", err)
	}
	if _, err := os.Lstat(filepath.Join(b.dir, "nobody")); err == nil {
		t.Error("a token was made for nobody")
	}
}
