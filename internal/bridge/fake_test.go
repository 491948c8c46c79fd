package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/seed"
)

const (
	deviceToken = "device-token-that-nobody-shall-see-0123456789"
	nonce       = "17dc7654-0000-4000-8000-000000000000"
	challenge   = `{"type":"event","event":"connect.challenge","payload":{"nonce":"` + nonce + `","ts":1}}`
)

// reflecttConnect is what reflectt-node sends, at once.
const reflecttConnect = `{"type":"req","id":"c1","method":"connect","params":{"minProtocol":3,"maxProtocol":3,` +
	`"client":{"id":"cli","version":"1.2.3","platform":"node","mode":"cli","displayName":"<reflectt> é"},` +
	`"role":"operator","scopes":["operator.read","operator.write"],"caps":["a"],"auth":{"token":"gateway-token"}}}`

// fakeGateway speaks to one connection after another; what it got first is
// handed to talk.
type fakeGateway struct {
	*httptest.Server
	mu       sync.Mutex
	requests []map[string]any
	open     sync.WaitGroup
}

// newFake starts a gateway that sends a challenge, notes the connect request,
// and leaves the rest to talk.
func newFake(t testing.TB, talk func(ctx context.Context, ws *websocket.Conn, connect map[string]any)) *fakeGateway {
	t.Helper()
	return newFakeAt(t, "127.0.0.1:0", talk)
}

// newFakeAt starts it at an address where one was before.
func newFakeAt(t testing.TB, address string, talk func(ctx context.Context, ws *websocket.Conn, connect map[string]any)) *fakeGateway {
	t.Helper()
	f := &fakeGateway{}
	ctx, cancel := context.WithCancel(context.Background())
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	f.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.open.Add(1)
		defer f.open.Done()
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		ws.SetReadLimit(-1)
		if ws.Write(ctx, websocket.MessageText, []byte(challenge)) != nil {
			return
		}
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var request map[string]any
		if err := json.Unmarshal(data, &request); err != nil {
			t.Errorf("the gateway got %q", data)
			return
		}
		request["(raw)"] = string(data)
		f.mu.Lock()
		f.requests = append(f.requests, request)
		f.mu.Unlock()
		talk(ctx, ws, request)
	}))
	_ = f.Listener.Close()
	f.Listener = l
	f.Start()
	t.Cleanup(func() {
		cancel()
		f.Close()
		f.open.Wait()
	})
	return f
}

func (f *fakeGateway) url() string { return "ws" + strings.TrimPrefix(f.URL, "http") }

func (f *fakeGateway) got() []map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.requests
}

func helloTo(connect map[string]any) []byte {
	id, _ := json.Marshal(connect["id"])
	return []byte(`{"type":"res","id":` + string(id) + `,"ok":true,"payload":{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6"},` +
		`"auth":{"deviceToken":"` + deviceToken + `","role":"operator","scopes":["operator.read"],"issuedAtMs":1795363080245,` +
		`"deviceTokens":[{"deviceToken":"another-secret","role":"node"}]},"policy":{"maxPayload":26214400}}}`)
}

// welcome lets everybody in and sends every message back.
func welcome(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
	if ws.Write(ctx, websocket.MessageText, helloTo(connect)) != nil {
		return
	}
	for {
		kind, data, err := ws.Read(ctx)
		if err != nil || ws.Write(ctx, kind, data) != nil {
			return
		}
	}
}

// refuseWith answers with an error and closes.
func refuseWith(wire string, code websocket.StatusCode, reason string) func(context.Context, *websocket.Conn, map[string]any) {
	return func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		id, _ := json.Marshal(connect["id"])
		_ = ws.Write(ctx, websocket.MessageText, []byte(`{"type":"res","id":`+string(id)+`,"ok":false,"error":`+wire+`}`))
		_ = ws.Close(code, reason)
	}
}

// makeBundle pairs a client on paper.
func makeBundle(t testing.TB, dir, name string, scopes ...string) seed.Bundle {
	t.Helper()
	bundle, err := seed.OpenBundle(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	result := seed.Result{Name: name, DeviceID: bundle.Identity.DeviceID(), Token: deviceToken, Scopes: scopes}
	if err := bundle.Finish(result, "ws://127.0.0.1:18789"); err != nil {
		t.Fatal(err)
	}
	return bundle
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// served is a running bridge.
type served struct {
	*Bridge
	address string
	dir     string
	stop    func()
	mu      sync.Mutex
	events  []Event
}

// serve runs a bridge on a free port for the length of the test.
func serve(t testing.TB, gatewayURL string, change func(*Options, *Bridge)) *served {
	t.Helper()
	s := &served{dir: filepath.Join(t.TempDir(), "clients")}
	options := Options{GatewayURL: gatewayURL, BundleDir: s.dir, Notify: func(e Event) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.events = append(s.events, e)
	}}
	if change != nil {
		change(&options, nil)
	}
	b, err := New(options)
	if err != nil {
		t.Fatal(err)
	}
	s.Bridge = b
	if change != nil {
		change(&options, b)
	}
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Address()
	s.stop = start(t, b, l)
	return s
}

// start serves until the test, or stop, ends it.
func start(t testing.TB, b *Bridge, listeners ...*Listener) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Serve(ctx, listeners...) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

func (s *served) seen(kind EventKind) (out []Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.events {
		if e.Kind == kind {
			out = append(out, e)
		}
	}
	return out
}

// peer is a client of the bridge that keeps every byte it was shown.
type peer struct {
	t   testing.TB
	ws  *websocket.Conn
	ctx context.Context
	all strings.Builder
}

func (s *served) dial(t testing.TB, path string, header http.Header) *peer {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	ws, _, err := websocket.Dial(ctx, "ws://"+s.address+path, &websocket.DialOptions{HTTPHeader: header})
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow(); cancel() })
	return &peer{t: t, ws: ws, ctx: ctx}
}

func (p *peer) send(text string) {
	p.t.Helper()
	if err := p.ws.Write(p.ctx, websocket.MessageText, []byte(text)); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) read() map[string]any {
	p.t.Helper()
	_, data, err := p.ws.Read(p.ctx)
	if err != nil {
		p.t.Fatal(err)
	}
	p.all.Write(data)
	var frame map[string]any
	if err := json.Unmarshal(data, &frame); err != nil {
		p.t.Fatalf("got %q", data)
	}
	return frame
}

// answer is the first frame that is a response.
func (p *peer) answer() map[string]any {
	p.t.Helper()
	for {
		if frame := p.read(); frame["type"] == "res" {
			return frame
		}
	}
}

// closed reads on until the close frame.
func (p *peer) closed() websocket.CloseError {
	p.t.Helper()
	for {
		_, data, err := p.ws.Read(p.ctx)
		p.all.Write(data)
		var closed websocket.CloseError
		switch {
		case err == nil:
		case errors.As(err, &closed):
			p.all.WriteString(closed.Reason)
			return closed
		default:
			// Not Fatal: some wait for this in a goroutine of their own.
			p.t.Errorf("no close frame: %v", err)
			return websocket.CloseError{}
		}
	}
}

// letIn connects as reflectt-node does and returns the hello's payload.
func (p *peer) letIn() map[string]any {
	p.t.Helper()
	p.send(reflecttConnect)
	got := p.answer()
	if got["ok"] != true {
		p.t.Fatalf("not let in: %v", got)
	}
	return got["payload"].(map[string]any)
}
