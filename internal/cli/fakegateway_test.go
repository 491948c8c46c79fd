package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/identity"
)

// fakeGateway is a program of the scripts for what real gateways do not do when a
// test wants it: it listens where there is a file "open", lets every device in, has
// two pairing requests, from 10.1.2.3 and 192.168.1.2, and on SIGUSR1 restarts in
// place and leaves three orphans. Its environment goes to the file "gateway.env".
func fakeGateway() {
	if err := serveFake(os.Args[slices.Index(os.Args, "--port")+1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serveFake(port string) error {
	restart, stop := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(restart, syscall.SIGUSR1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	if err := os.WriteFile("pid", []byte(strconv.Itoa(os.Getppid())), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile("gateway.env", []byte(strings.Join(os.Environ(), "\n")), 0o600); err != nil {
		return err
	}
	fake := &fakeStore{}
	for {
		for _, err := os.Stat("open"); err != nil; _, err = os.Stat("open") {
			select {
			case <-stop:
				return nil
			case <-time.After(10 * time.Millisecond):
			}
		}
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(context.Background())
		server := &http.Server{Handler: fake, BaseContext: func(net.Listener) context.Context { return ctx }}
		go func() { _ = server.Serve(listener) }()
		select {
		case <-stop:
			cancel()
			return nil
		case <-restart:
		}
		cancel()
		_ = server.Close()
		if err := exec.Command("sh", "-c", "(true &) ; (true &) ; (true &)").Run(); err != nil {
			return err
		}
	}
}

type fakeStore struct {
	mu       sync.Mutex
	approved []string
}

func (f *fakeStore) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ws, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	say := func(frame any) {
		text, _ := json.Marshal(frame)
		_ = ws.Write(r.Context(), websocket.MessageText, text)
	}
	say(map[string]any{"type": "event", "event": "connect.challenge", "payload": map[string]any{"nonce": "n", "ts": time.Now().UnixMilli()}})
	for {
		_, data, err := ws.Read(r.Context())
		if err != nil {
			return
		}
		var frame struct {
			ID, Method string
			Params     fakeParams
		}
		_ = json.Unmarshal(data, &frame)
		say(map[string]any{"type": "res", "id": frame.ID, "ok": true, "payload": f.answer(frame.Method, frame.Params)})
	}
}

// fakeParams are those of connect and of device.pair.approve.
type fakeParams struct {
	MaxProtocol int
	Scopes      []string
	Auth        struct{ Token string }
	RequestID   string
}

func (f *fakeStore) answer(method string, p fakeParams) map[string]any {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch method {
	case "connect":
		return map[string]any{
			"type": "hello-ok", "protocol": p.MaxProtocol, "server": map[string]any{"version": "2026.5.28"},
			"auth": map[string]any{"role": "operator", "scopes": p.Scopes, "method": "device-token", "deviceToken": p.Auth.Token},
		}
	case "device.pair.approve":
		f.approved = append(f.approved, p.RequestID)
		return map[string]any{"requestId": p.RequestID, "device": fakeDevice(p.RequestID)}
	case "device.pair.list":
		pending, paired := []any{}, []any{}
		for _, id := range []string{"request-10.1.2.3", "request-192.168.1.2"} {
			if slices.Contains(f.approved, id) {
				paired = append(paired, fakeDevice(id))
			} else {
				pending = append(pending, fakeDevice(id))
			}
		}
		return map[string]any{"pending": pending, "paired": paired}
	}
	return map[string]any{}
}

// fakeDevice is the device that asks with this id.
func fakeDevice(requestID string) map[string]any {
	seed := [32]byte{}
	copy(seed[:], requestID)
	id, err := identity.FromSeed(seed[:], time.Now())
	if err != nil {
		panic(err)
	}
	return map[string]any{
		"requestId": requestID, "deviceId": id.DeviceID(), "publicKey": id.PublicKey(), "role": "operator",
		"roles": []string{"operator"}, "scopes": []string{"operator.read"}, "remoteIp": strings.TrimPrefix(requestID, "request-"),
		"clientId": "cli", "clientMode": "cli",
	}
}
