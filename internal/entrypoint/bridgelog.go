package entrypoint

import (
	"sync"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// bridgeLog tells what happens to the clients of a bridge.
type bridgeLog struct {
	log       zerolog.Logger
	mu        sync.Mutex
	throttles map[bridge.EventKind]*throttle
}

// throttle is an event that is not logged each time.
type throttle struct {
	// logged is when it last was, and untold how often it was not since.
	logged  time.Time
	skipped int
}

// How often a person hears of what may happen many times a second: that the gateway
// is away, while it boots and every client comes again and again; and what anybody
// can cause who reaches the bridge's port.
const (
	awayProgress     = 10 * time.Second
	strangerProgress = time.Minute
)

// logEvent logs one event. It is called from many goroutines.
func (a *bridgeLog) logEvent(e bridge.Event) {
	event, message := a.log.Info(), "bridge: let in"
	switch e.Kind {
	case bridge.LetIn:
		if len(e.Dropped) > 0 {
			event = event.Str("dropped", pairing.Brief(e.Dropped))
		}
		event = event.Str("scopes", pairing.Brief(e.Scopes))
	case bridge.Joined:
		message = "bridge: joined"
	case bridge.PassedOn:
		message = "bridge: passed on with its own device"
	case bridge.Ended:
		event, message = a.log.Debug(), "bridge: ended"
	case bridge.Unreachable:
		event, message = a.throttled(e.Kind, awayProgress), "bridge: the gateway cannot be reached"
	case bridge.Silent:
		event, message = a.throttled(e.Kind, strangerProgress), "bridge: connected and said nothing"
	case bridge.Full:
		event, message = a.throttled(e.Kind, strangerProgress), "bridge: turned away"
	default:
		event, message = a.log.Warn(), "bridge: "+string(e.Kind)
	}
	if e.Reason != "" {
		event = event.Str("reason", e.Reason)
	}
	if e.Hint != "" {
		event = event.Str("hint", e.Hint)
	}
	event.Str("client", e.Client).Str("from", e.Remote).Msg(message)
}

// throttled is an event that is logged once in a while, with how often it was left out
// since; zerolog takes no notice of a nil event.
func (a *bridgeLog) throttled(kind bridge.EventKind, every time.Duration) *zerolog.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.throttles == nil {
		a.throttles = map[bridge.EventKind]*throttle{}
	}
	r := a.throttles[kind]
	if r == nil {
		r = &throttle{}
		a.throttles[kind] = r
	}
	now := time.Now()
	if now.Sub(r.logged) < every {
		r.skipped++
		return nil
	}
	event := a.log.Warn()
	if r.skipped > 0 {
		event = event.Int("untold", r.skipped)
	}
	r.logged, r.skipped = now, 0
	return event
}
