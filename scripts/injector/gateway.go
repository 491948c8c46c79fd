//go:build linux && amd64

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/coder/websocket"
)

// gateway lets everybody in, and has a single device that asks to be paired. It lets
// an approver look at the list three times, and then refuses it, which ends the watch.
type gateway struct {
	url    string
	server *httptest.Server

	mu       sync.Mutex
	approved int
}

const (
	askerID  = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"
	askerKey = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"
	asks     = "88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
	looks    = 3
)

func (w *world) openGateway() error {
	g := &gateway{}
	g.server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if conn, err := websocket.Accept(rw, r, nil); err == nil {
			g.serve(r.Context(), conn)
			_ = conn.CloseNow()
		}
	}))
	g.url = "ws" + strings.TrimPrefix(g.server.URL, "http")
	w.gateway = g
	return nil
}

func (w *world) close() {
	if w.gateway != nil {
		w.gateway.server.CloseClientConnections()
		w.gateway.server.Close()
	}
}

func (g *gateway) serve(ctx context.Context, conn *websocket.Conn) {
	say := func(frame string) { _ = conn.Write(ctx, websocket.MessageText, []byte(frame)) }
	say(`{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795362805122}}`)
	for lists := 0; ; {
		_, data, err := conn.Read(ctx)
		if err != nil {
			return
		}
		var frame struct {
			ID, Method string
			Params     struct{ Scopes json.RawMessage }
		}
		_ = json.Unmarshal(data, &frame)
		answer := func(payload string) {
			say(`{"type":"res","id":"` + frame.ID + `","ok":true,"payload":` + payload + `}`)
		}
		switch frame.Method {
		case "connect":
			answer(`{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6"},"snapshot":{"authMode":"token"},
				"auth":{"role":"operator","scopes":` + string(frame.Params.Scopes) + `}}`)
		case "device.pair.list":
			if lists++; lists > looks {
				say(`{"type":"res","id":"` + frame.ID + `","ok":false,"error":{"code":"INVALID_REQUEST","message":"missing scope: operator.pairing"}}`)
				continue
			}
			answer(g.list())
			say(`{"type":"event","event":"device.pair.requested","payload":{}}`)
		case "device.pair.approve":
			g.mu.Lock()
			g.approved++
			g.mu.Unlock()
			answer(`{"requestId":"` + asks + `","device":` + g.device() + `}`)
		}
	}
}

func (g *gateway) device() string {
	return `{"deviceId":"` + askerID + `","publicKey":"` + askerKey + `","role":"operator","roles":["operator"],
		"scopes":["operator.read"],"approvedScopes":["operator.read"],"createdAtMs":1,"approvedAtMs":2}`
}

func (g *gateway) list() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.approved > 0 {
		return `{"pending":[],"paired":[` + g.device() + `]}`
	}
	return `{"paired":[],"pending":[{"requestId":"` + asks + `","deviceId":"` + askerID + `","publicKey":"` + askerKey + `",
		"displayName":"asker","clientId":"cli","clientMode":"cli","role":"operator","roles":["operator"],"scopes":["operator.read"],"ts":1}]}`
}

// approvals compares what the gateway was asked for with what bootstrap remembers:
// who forgets an approval grants one more.
func (w *world) approvals() (faults []string) {
	if w.gateway == nil {
		return nil
	}
	w.gateway.mu.Lock()
	approved := w.gateway.approved
	w.gateway.mu.Unlock()
	var memory struct{ Approved int }
	if err := readJSON(w.state("bootstrap/approvals.json"), &memory); err != nil {
		return []string{err.Error()}
	}
	audit, err := w.audited()
	if err != nil {
		return []string{err.Error()}
	}
	if approved > 1 || memory.Approved < approved || audit[askerID] < approved {
		faults = append(faults, fmt.Sprintf("of %d approvals it remembers %d, and the audit log has %d lines", approved, memory.Approved, audit[askerID]))
	}
	return faults
}
