package approve

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/coder/websocket"
)

// lobby is a gateway with people waiting. Unlike [fake] it keeps a list, says
// when somebody comes, and can be unplugged.
type lobby struct {
	url     string
	refusal string // of connects; empty lets in
	version string
	// deaf: nobody is told who comes.
	deaf bool
	// approving may change what is approved, or refuse; nil does neither.
	approving func(entry map[string]any) (instead map[string]any, refusal string)

	mu       sync.Mutex
	pending  []map[string]any
	paired   []map[string]any
	approved []string // request ids, in order
	removed  []string
	connects int
	lists    int
	conns    map[*websocket.Conn]bool
}

func openLobby(t testing.TB) *lobby {
	l := &lobby{conns: map[*websocket.Conn]bool{}, version: "2026.9.6"}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		ws.SetReadLimit(1 << 20)
		l.mu.Lock()
		l.conns[ws] = true
		l.mu.Unlock()
		l.serve(r.Context(), ws)
		l.mu.Lock()
		delete(l.conns, ws)
		l.mu.Unlock()
		_ = ws.CloseNow()
	}))
	t.Cleanup(server.Close)
	l.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return l
}

func (l *lobby) gateway() Gateway { return Gateway{URL: l.url, Token: gatewaySecret} }

func wireEntry(r Request) map[string]any {
	return map[string]any{
		"requestId": r.RequestID, "deviceId": r.DeviceID, "publicKey": r.PublicKey, "displayName": r.DisplayName,
		"clientId": r.ClientID, "clientMode": r.ClientMode, "remoteIp": r.RemoteIP, "roles": r.Roles, "scopes": r.Scopes,
		"isRepair": r.Repair,
	}
}

// knock adds requests and says so.
func (l *lobby) knock(requests ...Request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range requests {
		entry := wireEntry(r)
		l.pending = append(l.pending, entry)
		if !l.deaf {
			l.announce(entry)
		}
	}
}

// announce sends the event; the caller holds the lock.
func (l *lobby) announce(entry map[string]any) {
	data, _ := json.Marshal(map[string]any{"type": "event", "event": RequestedEvent, "payload": entry})
	for ws := range l.conns {
		_ = ws.Write(context.Background(), websocket.MessageText, data)
	}
}

// unplug cuts every connection.
func (l *lobby) unplug() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for ws := range l.conns {
		go func() { _ = ws.Close(1012, "service restart") }()
	}
}

func (l *lobby) serve(ctx context.Context, ws *websocket.Conn) {
	say := func(v any) {
		data, _ := json.Marshal(v)
		_ = ws.Write(ctx, websocket.MessageText, data)
	}
	say(map[string]any{"type": "event", "event": "connect.challenge", "payload": map[string]any{"nonce": "n", "ts": 1795362805122}})
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var frame wireFrame
		_ = json.Unmarshal(data, &frame)
		payload, refusal := l.answer(frame)
		if refusal != "" {
			say(map[string]any{"type": "res", "id": frame.ID, "ok": false, "error": json.RawMessage(refusal)})
			if frame.Method == "connect" {
				_ = ws.Close(1008, "refused")
				return
			}
			continue
		}
		say(map[string]any{"type": "res", "id": frame.ID, "ok": true, "payload": payload})
	}
}

func (l *lobby) answer(frame wireFrame) (payload any, refusal string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var params map[string]string
	_ = json.Unmarshal(frame.Params, &params)
	switch frame.Method {
	case "connect":
		l.connects++
		return map[string]any{
			"type": "hello-ok", "protocol": 4, "server": map[string]any{"version": l.version},
			"auth":     map[string]any{"role": "operator", "scopes": callerScopes()},
			"snapshot": map[string]any{"authMode": "token"},
		}, l.refusal
	case "device.pair.list":
		l.lists++
		return map[string]any{"pending": append([]map[string]any{}, l.pending...), "paired": append([]map[string]any{}, l.paired...)}, ""
	case "device.pair.remove":
		l.removed = append(l.removed, params["deviceId"])
		return map[string]any{}, ""
	case "device.pair.approve":
		return l.approve(params["requestId"])
	}
	return nil, `{"code":"INVALID_REQUEST","message":"unknown method"}`
}

func (l *lobby) approve(requestID string) (any, string) {
	for i, entry := range l.pending {
		if entry["requestId"] != requestID {
			continue
		}
		if l.approving != nil {
			instead, refusal := l.approving(entry)
			if refusal != "" {
				return nil, refusal
			}
			entry = instead
		}
		l.approved = append(l.approved, requestID)
		l.pending = append(l.pending[:i:i], l.pending[i+1:]...)
		l.paired = append(l.paired, entry)
		return map[string]any{"requestId": requestID, "device": entry}, ""
	}
	return nil, `{"code":"INVALID_REQUEST","message":"unknown requestId"}`
}

func (l *lobby) count() (approved, left int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.approved), len(l.pending)
}
