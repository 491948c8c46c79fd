package gatewaytest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// thief takes the gateway's port while the gateway boots, and lets everybody in.
type thief struct {
	mu     sync.Mutex
	frames []string
}

func newThief(t *testing.T, port int) *thief {
	t.Helper()
	f := &thief{}
	l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(f.welcome), ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(l) }()
	t.Cleanup(func() { _ = server.Close() })
	return f
}

func (f *thief) note(what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frames = append(f.frames, what)
}

func (f *thief) got() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.frames
}

func (f *thief) welcome(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		f.note(r.Method + " " + r.URL.Path)
		return
	}
	defer func() { _ = ws.CloseNow() }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	_ = ws.Write(ctx, websocket.MessageText, []byte(`{"type":"event","event":"connect.challenge","payload":{"nonce":"11111111-1111-4111-8111-111111111111","ts":1}}`))
	for {
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		f.note(string(data))
		var request struct {
			ID     string
			Method string
			Params struct {
				Auth   struct{ Token string }
				Scopes []string
			}
		}
		if json.Unmarshal(data, &request) != nil || request.Method != "connect" {
			continue
		}
		hello, err := json.Marshal(map[string]any{"type": "res", "id": request.ID, "ok": true, "payload": map[string]any{
			"type": "hello-ok", "protocol": 4, "server": map[string]any{"version": "2026.9.6"},
			"auth":   map[string]any{"deviceToken": request.Params.Auth.Token, "role": "operator", "scopes": request.Params.Scopes},
			"policy": map[string]any{"maxPayload": 1 << 20},
		}})
		if err == nil {
			_ = ws.Write(ctx, websocket.MessageText, hello)
		}
	}
}

func TestWhoTakesThePortFirstIsShownNothing(t *testing.T) {
	t.Parallel()
	bridge := gatewaytest.FreePort(t)
	g := openGateway(t, "2026.9.6", gatewaytest.Bootstrap(t), "run", "--handover=supervise", "--prove-timeout=3m",
		"--client", "agent-1", "--approve", "token", "--bridge", fmt.Sprintf("127.0.0.1:%d", bridge), "--")
	g.WaitOutput(t, "starting the gateway")
	thief := newThief(t, g.Port)
	await(t, "the listener to be noticed, or trusted", func() bool {
		out := g.Output()
		return strings.Contains(out, "is not the gateway that was started") || strings.Contains(out, "ready: the pairing is proven")
	})
	// The bridge has another device's token to show.
	if got := visitBridge(t, fmt.Sprintf("ws://127.0.0.1:%d/agent-1", bridge), nil).refused; got.Code != 1013 || !strings.Contains(got.Reason, "is not the gateway") {
		t.Errorf("the bridge closed with %v", got)
	}
	if got := thief.got(); len(got) > 0 {
		t.Errorf("it was shown: %s", strings.Join(got, "\n"))
	}
	if strings.Contains(g.Output(), "ready: the pairing is proven") {
		t.Error("the pairing was proven to somebody else")
	}
	if want := fmt.Sprintf("pid %d, uid %d", os.Getpid(), os.Getuid()); !strings.Contains(g.Output(), want) {
		t.Errorf("it is not said who that is: %s", want)
	}
}

// The proof says whose socket it was, also when the gateway has restarted.
func TestTheProofSaysWhoseSocketItWas(t *testing.T) {
	t.Parallel()
	g := openGateway(t, "2026.9.6", gatewaytest.Bootstrap(t), "run", "--handover=supervise", "--")
	g.WaitOutput(t, "ready: the pairing is proven")
	if !regexp.MustCompile(fmt.Sprintf(`"listener":"pid [0-9]+, uid %d"`, os.Getuid())).MatchString(g.Output()) {
		t.Errorf("it says\n%s", g.Output())
	}
}
