package entrypoint

import (
	"maps"
	"net"
	"strings"
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
	throttles map[occasion]*throttle
}

// occasion is what is logged once in a while. A refusal is so by client, place, reason
// and hint: a client that is refused may come again each second, for months.
type occasion struct {
	kind                       bridge.EventKind
	client, host, reason, hint string
}

// maxOccasions bounds how many are kept: a stranger can ask for any name.
const maxOccasions = 256

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
		message = "bridge: ended"
	case bridge.Unreachable:
		event, message = a.throttled(occasion{kind: e.Kind}, awayProgress), "bridge: the gateway cannot be reached"
	case bridge.Silent:
		event, message = a.throttled(occasion{kind: e.Kind}, strangerProgress), "bridge: connected and said nothing"
	case bridge.Full:
		event, message = a.throttled(occasion{kind: e.Kind}, strangerProgress), "bridge: turned away"
	default:
		event, message = a.throttled(occasion{e.Kind, e.Client, hostOf(e.Remote), e.Reason, e.Hint}, strangerProgress), "bridge: "+string(e.Kind)
	}
	if e.Reason != "" {
		event = event.Str("reason", e.Reason)
	}
	if e.Hint != "" {
		event = event.Str("hint", e.Hint)
	}
	event.Str("client", e.Client).Str("from", e.Remote).Msg(message)
}

// hostOf is where a client came from, without what is another one at each connection:
// its port, or its pid.
func hostOf(remote string) string {
	if host, _, err := net.SplitHostPort(remote); err == nil {
		return host
	}
	user, _, _ := strings.Cut(remote, ",")
	return user
}

// throttled is an event that is logged once in a while, with how often it was left out
// since; zerolog takes no notice of a nil event.
func (a *bridgeLog) throttled(what occasion, every time.Duration) *zerolog.Event {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	r := a.throttle(what, now)
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

// throttle is that of an occasion. Where there are too many, those that were not met
// for long go, and one is for all of a kind. The caller has the lock.
func (a *bridgeLog) throttle(what occasion, now time.Time) *throttle {
	if a.throttles == nil {
		a.throttles = map[occasion]*throttle{}
	}
	if r := a.throttles[what]; r != nil {
		return r
	}
	if len(a.throttles) >= maxOccasions {
		maps.DeleteFunc(a.throttles, func(_ occasion, r *throttle) bool { return now.Sub(r.logged) >= strangerProgress })
	}
	if len(a.throttles) >= maxOccasions {
		what = occasion{kind: what.kind}
	}
	r := a.throttles[what]
	if r == nil {
		r = &throttle{}
		a.throttles[what] = r
	}
	return r
}
