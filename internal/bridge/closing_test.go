package bridge

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func TestCloseOfTheGatewayReachesTheClient(t *testing.T) {
	for name, c := range map[string]struct {
		talk   func(context.Context, *websocket.Conn, map[string]any)
		code   websocket.StatusCode
		reason string
	}{
		"starting": {refuseWith(`{"code":"UNAVAILABLE","message":"gateway starting; retry shortly"}`, 1013, "gateway starting"), 1013, "gateway starting"},
		"closing without an answer": {func(_ context.Context, ws *websocket.Conn, _ map[string]any) {
			_ = ws.Close(1012, "service restart")
		}, 1012, "service restart"},
		"restarting later": {func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
			_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
			_ = ws.Close(1012, "service restart")
		}, 1012, "service restart"},
		"with a code of its own": {func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
			_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
			_ = ws.Close(4001, "gateway auth changed")
		}, 4001, "gateway auth changed"},
		"without a code": {func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
			_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
			_ = ws.Close(websocket.StatusNoStatusRcvd, "")
		}, websocket.StatusNoStatusRcvd, ""},
		"killed": {func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
			_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
			_ = ws.CloseNow()
		}, 1013, "the connection to the gateway was lost"},
	} {
		t.Run(name, func(t *testing.T) {
			b := serve(t, newFake(t, c.talk).url(), nil)
			makeBundle(t, b.dir, "agent-1", "operator.read")
			p := b.dial(t, "/agent-1", nil)
			p.send(reflecttConnect)
			if got := p.closed(); got.Code != c.code || got.Reason != c.reason {
				t.Errorf("closed with %d %q", got.Code, got.Reason)
			}
		})
	}
}

func TestCloseOfTheClientReachesTheGateway(t *testing.T) {
	closed := make(chan error, 1)
	gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
		_, _, err := ws.Read(ctx)
		closed <- err
	})
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.letIn()
	if err := p.ws.Close(3456, "bye"); err != nil {
		t.Fatal(err)
	}
	if err := <-closed; websocket.CloseStatus(err) != 3456 || !strings.Contains(err.Error(), "bye") {
		t.Errorf("the gateway saw %v", err)
	}
}

func TestGatewayThatIsAwayIsTriedAgainByTheNextClient(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	if status, body := ready(t, b, nil); status != 200 {
		t.Errorf("readyz is %d %s", status, body)
	}
	address := gateway.Listener.Addr().String()
	gateway.Close()
	if got := b.dial(t, "/agent-1", nil).closed(); got.Code != 1013 || got.Reason != "gateway unreachable: connection refused" {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if status, body := ready(t, b, nil); status != 503 || !strings.Contains(body, "connection refused") {
		t.Errorf("readyz is %d %s", status, body)
	}
	newFakeAt(t, address, welcome)
	b.dial(t, "/agent-1", nil).letIn()
	if status, body := ready(t, b, nil); status != 200 {
		t.Errorf("readyz is %d %s", status, body)
	}
}

func TestEndOfTheBridgeClosesItsClients(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	waiting, in := b.dial(t, "/agent-1", nil), b.dial(t, "/agent-1", nil)
	waiting.read()
	in.letIn()
	codes := make(chan websocket.StatusCode, 2)
	for _, p := range []*peer{waiting, in} {
		go func() { codes <- p.closed().Code }()
	}
	b.stop()
	for range 2 {
		if code := <-codes; code != websocket.StatusGoingAway {
			t.Errorf("closed with %d", code)
		}
	}
}

// A client that begins a frame and sends no more of it is closed all the same.
func TestAFrameWithoutAnEndKeepsNoClientInTheBridge(t *testing.T) {
	endless := []byte{0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	quick := func(o *Options, b *Bridge) {
		if o.Token = everybodysToken; b != nil {
			b.closeTimeout = 50 * time.Millisecond
		}
	}
	t.Run("when it is refused", func(t *testing.T) {
		b := serve(t, newFake(t, welcome).url(), quick)
		makeBundle(t, b.dir, "agent-1", "operator.read")
		raw, _ := upgrade(t, b.address, "/agent-1")
		sendFrame(t, raw, true, 1, []byte(reflecttConnect))
		_, _ = raw.Write(endless)
		emptied(t, b)
	})
	t.Run("when the gateway ends", func(t *testing.T) {
		gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
			_ = ws.Write(ctx, websocket.MessageText, helloTo(connect))
			_, message, err := ws.Reader(ctx)
			if err == nil {
				_, _ = message.Read(make([]byte, 1))
			}
			_ = ws.CloseNow()
		})
		b := serve(t, gateway.url(), quick)
		makeBundle(t, b.dir, "agent-1", "operator.read")
		raw, in := upgrade(t, b.address, "/agent-1")
		sendFrame(t, raw, true, 1, []byte(strings.Replace(reflecttConnect, "gateway-token", everybodysToken, 1)))
		for {
			if _, data := readFrame(t, in); strings.Contains(string(data), `"type":"res"`) {
				break
			}
		}
		_, _ = raw.Write(append(endless, make([]byte, 4<<20)...))
		emptied(t, b)
	})
}
