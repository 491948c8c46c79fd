package bridge

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// impatient is a client that begins as reflectt-node e7f03ef does: it sends its
// connect as soon as the socket is open. That client gives a request 30 s, and
// then closes whatever connection it has; so each request without an answer ends a
// later connection, and the test counts those instead of waiting.
type impatient struct {
	pending int // requests that were closed without an answer
	opened  int
}

// connect tries once, and tells whether it was let in. wait is done with the
// socket open, before the request is sent.
func (c *impatient) connect(ctx context.Context, address string, wait func()) bool {
	ws, _, err := websocket.Dial(ctx, "ws://"+address+"/agent-1", nil)
	if err != nil {
		return false // no socket, so no request
	}
	defer func() { _ = ws.CloseNow() }()
	c.opened++
	id := "req-" + strconv.Itoa(c.opened)
	wait()
	// One that is closed meanwhile sends no request: its socket is not open.
	if ws.Write(ctx, websocket.MessageText, []byte(`{"type":"req","id":"`+id+`","method":"connect","params":{"minProtocol":3,"maxProtocol":3,`+
		`"client":{"id":"cli","version":"1","platform":"node","mode":"cli"},"role":"operator","scopes":["operator.read"]}}`)) != nil {
		return false
	}
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			c.pending++
			return false
		}
		var frame struct {
			Type, ID string
			OK       bool
		}
		if json.Unmarshal(data, &frame) == nil && frame.Type == "res" && frame.ID == id {
			return frame.OK
		}
	}
}

func TestAnOutageLeavesNoRequestOfAnImpatientClientBehind(t *testing.T) {
	gateway := newFake(t, welcome)
	// A machine may take its time: the client's request is waited for longer here.
	b := serve(t, gateway.url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.earlyTimeout = time.Hour
		}
	})
	makeBundle(t, b.dir, "agent-1", "operator.read")
	client := &impatient{}
	if !client.connect(t.Context(), b.address, func() {}) {
		t.Fatal("not let in before the outage")
	}
	address := gateway.Listener.Addr().String()
	gateway.Close()
	for range 40 { // one a second, as that client does
		if client.connect(t.Context(), b.address, func() {}) {
			t.Fatal("let in, and nobody is there")
		}
	}
	newFakeAt(t, address, welcome)
	if !client.connect(t.Context(), b.address, func() {}) {
		t.Error("not let in after the outage")
	}
	if client.pending != 0 {
		t.Errorf("%d of %d requests had no answer: each will end a later connection", client.pending, client.opened)
	}
}

func TestARequestOnItsWayWhenTheBridgeStopsHasItsAnswer(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.earlyTimeout = time.Hour
		}
	})
	makeBundle(t, b.dir, "agent-1", "operator.read")
	client := &impatient{}
	stopped := make(chan struct{})
	client.connect(t.Context(), b.address, func() {
		go func() { defer close(stopped); b.stop() }()
		for { // the port is given back once the bridge stops
			conn, err := http.Get("http://" + b.address + "/livez") //nolint:noctx // it is asked until it fails
			if err != nil {
				return
			}
			_ = conn.Body.Close()
		}
	})
	<-stopped
	if client.pending != 0 {
		t.Error("the request had no answer")
	}
}
