package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"
)

// How long an answer of the gateway speaks for its state; that there was none,
// or "starting", for less: who waits for the gateway asks again and again.
const (
	stateAge   = 10 * time.Second
	failureAge = time.Second
)

// gatewayState is what the last conversations with the gateway told.
type gatewayState struct {
	mu     sync.Mutex
	at     time.Time
	reason string // empty where it answered well
}

// failed notes that no connection came about.
func (g *gatewayState) failed(err error) { g.note("gateway unreachable: " + err.Error()) }

// note says how a connect request was answered; a reason means that the gateway
// is not ready, no reason that it is.
func (g *gatewayState) note(reason string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.at, g.reason = time.Now(), reason
}

func (g *gatewayState) recent() (reason string, known bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	age := stateAge
	if g.reason != "" {
		age = failureAge
	}
	return g.reason, time.Since(g.at) < age
}

// Ready tells whether clients can be served: nil where the gateway answers. It
// asks the gateway only where nothing is known of the last ten seconds.
func (b *Bridge) Ready(ctx context.Context) error {
	reason, known := b.state.recent()
	if !known {
		gateway, err := b.upstream.open(ctx)
		reason = ""
		if err != nil {
			reason = "gateway unreachable: " + err.Error()
		} else {
			_ = gateway.ws.CloseNow()
		}
		b.state.note(reason)
	}
	if reason != "" {
		return errors.New(reason)
	}
	return nil
}

// serveHealth answers what is not a WebSocket.
func (b *Bridge) serveHealth(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	status, message := http.StatusOK, "ok"
	switch r.URL.Path {
	case "/livez":
	case "/readyz":
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		if err := b.Ready(ctx); err != nil {
			status, message = http.StatusServiceUnavailable, err.Error()
		}
	default:
		status, message = http.StatusUpgradeRequired, "this is a bridge to a gateway: it speaks WebSocket, at ws://…/NAME"
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"message": message})
}
