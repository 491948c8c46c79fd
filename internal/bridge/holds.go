package bridge

import (
	"slices"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// maxFailures is after how many refusals in a minute, whosever they are, no client
// that was refused before tries again. Three first refusals more lock the bridge out.
const maxFailures = 7

// holds remember refusals for authentication. Gateways lock an address out
// after ten of them in a minute (2026.5.28 and later), and all clients of a
// bridge have its address: one that keeps trying would lock out the others.
type holds struct {
	mu sync.Mutex
	// byClient is keyed by a client's name: there are only as many as bundles.
	byClient map[string]hold
	// failed are the refusals of the last minute, whosever they are, and the tries that
	// have no answer yet.
	failed []failure
	// everyone is set while the gateway limits the bridge's address.
	everyone hold
}

type failure struct {
	at     time.Time
	client string
}

type hold struct {
	until  time.Time
	token  string
	reason string
}

// held tells whether a client is not to ask the gateway now, and why. A token
// that was replaced meanwhile is worth another try. One that asks and was refused
// before is counted at once, not when it fails: many may ask at the same moment.
func (h *holds) held(c client, asks bool, now time.Time) (bool, string) {
	if c.name == "" {
		return false, ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.everyone.until) {
		return true, h.everyone.reason
	}
	known, failed := h.byClient[c.name]
	if !failed || known.token != c.token {
		return false, ""
	}
	h.failed = slices.DeleteFunc(h.failed, func(f failure) bool { return now.Sub(f.at) >= time.Minute })
	if now.Before(known.until) || len(h.failed) >= maxFailures {
		return true, known.reason
	}
	if asks {
		h.failed = append(h.failed, failure{now, c.name})
	}
	return false, ""
}

// hold notes a refusal, and what the client is told while it lasts; one that is
// not for authentication is passed over.
func (h *holds) hold(c client, r gatewayRefusal, reason string, now time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case r.Kind == protocol.RateLimited:
		wait := min(max(time.Duration(r.RetryAfterMs)*time.Millisecond, holdOffAfterAuth), time.Hour)
		h.everyone = hold{until: now.Add(wait), reason: "the gateway limits this address: " + r.Message}
	case r.unpaired():
		if h.byClient == nil {
			h.byClient = map[string]hold{}
		}
		if known, failed := h.byClient[c.name]; !failed || known.token != c.token {
			h.failed = append(h.failed, failure{now, c.name})
		}
		h.byClient[c.name] = hold{until: now.Add(holdOffAfterAuth), token: c.token, reason: reason}
	}
}

// taken forgets the failures of a client that the gateway has let in.
func (h *holds) taken(c client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.byClient, c.name)
	h.giveBack(c)
}

// passes takes a try back that the gateway has not answered, or not for good.
func (h *holds) passes(c client) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byClient[c.name].token == c.token {
		h.giveBack(c)
	}
}

// giveBack forgets a client's last try.
func (h *holds) giveBack(c client) {
	for i := len(h.failed) - 1; i >= 0; i-- {
		if h.failed[i].client == c.name {
			h.failed = slices.Delete(h.failed, i, i+1)
			return
		}
	}
}
