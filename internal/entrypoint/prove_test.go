package entrypoint

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// The helper of an exec handover has paired nothing where the gateway ends, or
// listens, before it has made its database.
func TestWhatIsNotPairedYetIsNotProven(t *testing.T) {
	self, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := prover{Entrypoint: &Entrypoint{Target: &pairing.Target{}}, seeded: pairing.Paired{Self: self, Store: seed.Info{Kind: seed.Staged}}}
	if verdict := r.handshake(t.Context(), 0); verdict.Outcome != probe.StillStarting {
		t.Errorf("got %v", verdict)
	}
}

// looked is a gateway that is told to end when its prover has looked after it a
// second time.
type looked struct{ times int }

func (p *looked) Stopping() bool         { p.times++; return p.times > 1 }
func (p *looked) Asked() <-chan struct{} { return nil }
func (p *looked) Stop(_ syscall.Signal)  {}

// With --require-paired the first verdict ends the gateway: what is out of reach for a
// moment is waited for, as a gateway is that does not listen yet.
func TestADatabaseThatIsOutOfReachIsWaitedFor(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	target := &pairing.Target{Installation: gateway.Installation{
		Command: gateway.Command{Understood: true}, StateDir: t.TempDir(),
		Release: gateway.Release{Known: true, Version: gateway.Version{Year: 2026, Month: 9, Patch: 6}},
		Listen:  gateway.Listen{Dial: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port},
	}, Starts: true}
	process := &looked{}
	r := prover{Entrypoint: &Entrypoint{Target: target}, process: process, seeded: pairing.Paired{Store: seed.Info{Kind: seed.Staged}}}
	r.awaitDatabase(t.Context(), time.Hour)
	if process.times != 2 {
		t.Errorf("it was given up after %d look", process.times)
	}
	if verdict := r.handshake(t.Context(), 0); strings.Contains(verdict.Message, "does not listen") {
		t.Errorf("got %v", verdict)
	}
}

// Once its patience is over, a proof is one try each time, and that one has to be tried.
func TestASingleTryIsAHandshakeWhateverTheGatewaySaysOfItsStart(t *testing.T) {
	var upgrades atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if request.URL.Path == "/startupz" {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		upgrades.Add(1)
		w.WriteHeader(http.StatusNotFound)
	}))
	defer server.Close()
	self, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	listen := gateway.Listen{Dial: "127.0.0.1", Port: server.Listener.Addr().(*net.TCPAddr).Port}
	target := &pairing.Target{Installation: gateway.Installation{Listen: listen, URL: listen.URL()}, Starts: true}
	r := prover{Entrypoint: &Entrypoint{Target: target}, seeded: pairing.Paired{
		Self: self, Store: seed.Info{Kind: seed.SQLite},
		Results: []seed.Result{{Name: seed.SelfName, DeviceID: self.DeviceID(), Token: "token"}},
	}}
	if verdict := r.handshake(t.Context(), 0); upgrades.Load() != 1 {
		t.Errorf("%d handshakes: %v", upgrades.Load(), verdict)
	}
}

// Between the proof, which others act on at once, and the first look at the gateway's
// socket the gateway may have gone, or may listen anew already.
func TestARestartBetweenTheProofAndTheFirstLookIsSeen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	proven, err := gateway.Listener(port)
	if err != nil || proven == "" {
		t.Fatalf("Listener is %q, %v", proven, err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := net.Listen("tcp", listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, state := range []string{"listens anew", "is gone"} {
		target := &pairing.Target{Installation: gateway.Installation{Listen: gateway.Listen{Dial: "127.0.0.1", Port: port}}}
		r := prover{Entrypoint: &Entrypoint{Target: target}, process: &looked{}}
		if !r.restarted(t.Context(), proven, time.Hour) {
			t.Errorf("a gateway that %s counts as the one that was proven", state)
		}
		if r.end != nil {
			r.end.Close()
		}
		if err := again.Close(); err != nil && state == "listens anew" {
			t.Fatal(err)
		}
	}
}

// deaf is a gateway that restarts in place when it is told to end for the first time,
// and takes no notice: it listens anew, and ends when it is told again.
type deaf struct {
	asked chan struct{}
	again func()
	end   context.CancelFunc

	mu   sync.Mutex
	told int
}

func (p *deaf) Stopping() bool         { p.mu.Lock(); defer p.mu.Unlock(); return p.told > 0 }
func (p *deaf) Asked() <-chan struct{} { return p.asked }
func (p *deaf) Stop(_ syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.told++; p.told > 1 {
		p.end()
		return
	}
	close(p.asked)
	time.AfterFunc(time.Second, p.again) // by then it is noted that nobody listens
}

// It would run on, with nobody to look after its pairing.
func TestAGatewayThatRequirePairedStopsIsToldAgainWhereItRestartsInstead(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	self, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	process := &deaf{asked: make(chan struct{}), end: cancel}
	process.again = func() {
		if again, err := net.Listen("tcp", address); err == nil {
			context.AfterFunc(ctx, func() { _ = again.Close() })
		}
	}
	listen := gateway.Listen{Dial: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
	target := &pairing.Target{Installation: gateway.Installation{Listen: listen, URL: listen.URL()}}
	target.Settings.RequirePaired, target.Command.Understood = true, true
	e := &Entrypoint{Target: target, ready: &readiness{}, ExitCode: func(error) int { return 10 }}
	r := prover{Entrypoint: e, process: process, seeded: pairing.Paired{
		Self: self, Store: seed.Info{Kind: seed.SQLite},
		Results: []seed.Result{{Name: seed.SelfName, DeviceID: self.DeviceID(), Token: "token"}},
	}}
	if err := r.keep(ctx); !errors.As(err, new(*pairing.RefusedError)) {
		t.Errorf("it ends with %v", err)
	}
	if process.told != 2 {
		t.Errorf("the gateway was told %d times", process.told)
	}
}
