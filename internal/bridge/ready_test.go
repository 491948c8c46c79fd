package bridge

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// reset ends a connection as a client does that dies: without a goodbye.
func reset(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// emptied waits until every client is gone; the limit only ends a test that has failed.
func emptied(t *testing.T, b *served) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Minute); b.Clients() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d clients are still there", b.Clients())
		}
	}
}

// stillReady is for a gateway that has answered well all the time.
func stillReady(t *testing.T, b *served) {
	t.Helper()
	emptied(t, b)
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
	if events := b.seen(Unreachable); len(events) != 0 {
		t.Errorf("events: %+v", events)
	}
}

func TestStrangersThatBreakOffDoNotMakeTheBridgeUnready(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(o *Options, _ *Bridge) { o.Token = everybodysToken })
	makeBundle(t, b.dir, "agent-1", "operator.read")
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		raw, _ := upgrade(t, b.address, "/agent-1")
		reset(t, raw)
		raw, _ = upgrade(t, b.address, "/agent-1")
		_, _ = raw.Write([]byte{0xff, 0xff}) // no frame has these bits
		_ = raw.Close()
	}
	stillReady(t, b)
}

func TestAClientThatIsGoneIsNoFailureOfTheGateway(t *testing.T) {
	for _, at := range []string{"the challenge", "the answer"} {
		t.Run("before "+at, func(t *testing.T) {
			asked, gone := make(chan struct{}), make(chan struct{})
			gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
				close(asked)
				<-gone
				_ = ws.Write(ctx, websocket.MessageText, []byte(`{"type":"event","event":"tick"}`))
				welcome(ctx, ws, connect)
			})
			b := serve(t, gateway.url(), nil)
			makeBundle(t, b.dir, "agent-1", "operator.read")
			if err := b.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			if at == "the challenge" {
				inner := gateway.Config.Handler
				gateway.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					select {
					case <-gone: // Ready asks once more
					default:
						close(asked)
						<-gone
					}
					inner.ServeHTTP(w, r)
				})
			}
			raw, _ := upgrade(t, b.address, "/agent-1")
			if at == "the answer" {
				sendFrame(t, raw, true, 1, []byte(reflecttConnect))
			}
			<-asked
			reset(t, raw)
			close(gone)
			stillReady(t, b)
		})
	}
}

func TestAClientWhoseTurnDoesNotComeIsNoFailureOfTheGateway(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.requestTimeout = 10 * time.Millisecond
		}
	})
	makeBundle(t, b.dir, "agent-1", "operator.read")
	if err := b.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range challengesPerPeer {
		if _, err := b.challenges.take(t.Context(), "loopback"); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.dial(t, "/agent-1", nil).closed(); got.Code != 1013 || strings.Contains(got.Reason, "gateway") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if full := b.seen(Full); len(full) != 1 || full[0].Client != "agent-1" {
		t.Errorf("events: %+v", full)
	}
	stillReady(t, b)
}

func TestAQuestionThatNobodyWaitsForSaysNothingOfTheGateway(t *testing.T) {
	gateway := newFake(t, welcome)
	asked, gone := make(chan struct{}, 1), make(chan struct{})
	inner := gateway.Config.Handler
	gateway.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		<-gone
		inner.ServeHTTP(w, r)
	})
	b := serve(t, gateway.url(), nil)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-asked; cancel() }()
	if err := b.Ready(ctx); err == nil {
		t.Error("ready, though the gateway has not answered")
	}
	close(gone)
	if err := b.Ready(t.Context()); err != nil {
		t.Errorf("not ready: %v", err)
	}
}
