package bridge

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/health"
)

// How long an answer of the gateway speaks for its state; that there was none,
// or "starting", for less: who waits for the gateway asks again and again.
const (
	stateAge   = 10 * time.Second
	failureAge = time.Second
)

// gatewayState is what the last connections to the gateway showed.
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
// asks the gateway only where nothing is known of the last ten seconds, and once
// for all who want to know: each question is a connection that is not let in, of
// which the gateway takes a few only.
func (b *Bridge) Ready(ctx context.Context) error {
	select {
	case b.asking <- struct{}{}:
		defer func() { <-b.asking }()
	case <-ctx.Done():
		return errors.New("no answer in time")
	}
	reason, known := b.state.recent()
	if !known {
		gateway, err := b.dial(ctx, func() {})
		reason = ""
		if err != nil {
			reason = "gateway unreachable: " + err.Error()
		} else {
			gateway.drop()
		}
		// Where nobody waits any more, it was not the gateway that broke off.
		if !errors.Is(ctx.Err(), context.Canceled) {
			b.state.note(reason)
		}
	}
	if reason != "" {
		return errors.New(reason)
	}
	return nil
}

// probes answers what is not a WebSocket. The bridge's own end ends a question.
func (b *Bridge) probes() http.Handler {
	return health.Probes(func(ctx context.Context) (health.State, bool) {
		if err := b.Ready(ctx); err != nil {
			return health.State{Status: "bridge", Message: err.Error()}, false
		}
		return health.State{Status: "ready", Message: "ok"}, true
	}, http.StatusUpgradeRequired, "this is a bridge to a gateway: it speaks WebSocket, at ws://…/NAME")
}
