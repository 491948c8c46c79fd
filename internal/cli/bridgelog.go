package cli

import (
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/bridge"
)

// bridgeLog tells what happens to the clients of a bridge.
type bridgeLog struct {
	*app
	mu sync.Mutex
	// away is when it was last told that the gateway cannot be reached, and untold
	// how many clients have heard so since.
	away   time.Time
	untold int
}

// awayProgress is how often a person hears that the gateway is away: while it
// boots, every client comes again and again.
const awayProgress = 10 * time.Second

// tell logs one event. It is called from many goroutines.
func (a *bridgeLog) tell(e bridge.Event) {
	event, message := a.log.Info(), "bridge: let in"
	switch e.Kind {
	case bridge.LetIn:
		if len(e.Dropped) > 0 {
			event = event.Str("dropped", brief(e.Dropped))
		}
		event = event.Str("scopes", brief(e.Scopes))
	case bridge.Joined:
		message = "bridge: joined"
	case bridge.PassedOn:
		message = "bridge: passed on with its own device"
	case bridge.Ended:
		event, message = a.log.Debug(), "bridge: ended"
	case bridge.Unreachable:
		untold, news := a.isNews()
		if !news {
			return
		}
		if event, message = a.log.Warn(), "bridge: the gateway cannot be reached"; untold > 0 {
			event = event.Int("untold", untold)
		}
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

// isNews tells whether to say that the gateway is away, and how often that was
// left out before.
func (a *bridgeLog) isNews() (untold int, news bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now := a.now(); now.Sub(a.away) >= awayProgress {
		untold, a.untold, a.away = a.untold, 0, now
		return untold, true
	}
	a.untold++
	return 0, false
}
