package approve

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/identity"
)

const (
	gatewaySecret = "gateway-secret"
	deviceSecret  = "device-secret"
	requestID     = "88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
)

// fake is a gateway that misbehaves as a test tells it. Its forms are those of
// real ones; whether a real one takes ours, gatewaytest tells.
type fake struct {
	// connect answers a connect request: scopes and device token of the hello,
	// or the error.
	connect func(c connectParams) (scopes []string, deviceToken, refusal string)
	// call answers a call: the payload, or the error.
	call func(method string, params map[string]string) (payload, refusal string)

	url string
	mu  sync.Mutex
	log []string
}

type connectParams struct {
	Client struct{ ID, Mode string }
	Scopes []string
	Device *struct{ ID, PublicKey string }
	Auth   struct{ Token string }
}

type wireFrame struct {
	ID     string
	Method string
	Params json.RawMessage
}

func (f *fake) start(t *testing.T) *fake {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		f.serve(r.Context(), ws)
	}))
	t.Cleanup(server.Close)
	f.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return f
}

func (f *fake) serve(ctx context.Context, ws *websocket.Conn) {
	say := func(frame string) { _ = ws.Write(ctx, websocket.MessageText, []byte(frame)) }
	say(`{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795362805122}}`)
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var frame wireFrame
		_ = json.Unmarshal(data, &frame)
		payload, refusal := f.answer(frame)
		if refusal == "" {
			say(`{"type":"res","id":"` + frame.ID + `","ok":true,"payload":` + payload + `}`)
			continue
		}
		say(`{"type":"res","id":"` + frame.ID + `","ok":false,"error":` + refusal + `}`)
		if frame.Method == "connect" {
			_ = ws.Close(1008, "refused")
			return
		}
	}
}

func (f *fake) answer(frame wireFrame) (payload, refusal string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if frame.Method != "connect" {
		var params map[string]string
		_ = json.Unmarshal(frame.Params, &params)
		f.log = append(f.log, strings.TrimSpace(frame.Method+" "+params["requestId"]+params["deviceId"]))
		return f.call(frame.Method, params)
	}
	var c connectParams
	_ = json.Unmarshal(frame.Params, &c)
	f.log = append(f.log, "connect "+c.Client.ID+" "+c.Auth.Token)
	scopes, token, refusal := f.connect(c)
	auth, _ := json.Marshal(map[string]any{"role": "operator", "scopes": scopes, "deviceToken": token})
	return `{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6"},"auth":` + string(auth) + `}`, refusal
}

func (f *fake) gateway() Gateway { return Gateway{URL: f.url, Token: gatewaySecret} }

// saw is what was asked, in order, once the connections have ended.
func (f *fake) saw() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

func testIdentity(t testing.TB) identity.Identity {
	t.Helper()
	id, err := identity.FromSeed(make([]byte, 32), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func notPaired(id string) string {
	return `{"code":"NOT_PAIRED","message":"pairing required: device is not approved yet","details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"` + id + `"}}`
}

const unauthorized = `{"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch","details":{"code":"AUTH_TOKEN_MISMATCH"}}`
