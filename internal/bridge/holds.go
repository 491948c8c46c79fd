package bridge

import (
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// holds remember refusals for authentication. Gateways lock an address out
// after ten of them in a minute (2026.5.28 and later), and all clients of a
// bridge have its address: one that keeps trying would lock out the others.
type holds struct {
	mu sync.Mutex
	// byClient is keyed by a client's name: there are only as many as bundles.
	byClient map[string]hold
	// everyone is set while the gateway limits the bridge's address.
	everyone hold
}

type hold struct {
	until  time.Time
	token  string
	reason string
}

// held tells whether a client is not to ask the gateway now, and why. A token
// that was replaced meanwhile is worth another try.
func (h *holds) held(c client, now time.Time) (bool, string) {
	if c.name == "" {
		return false, ""
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if now.Before(h.everyone.until) {
		return true, h.everyone.reason
	}
	if known := h.byClient[c.name]; now.Before(known.until) && known.token == c.token {
		return true, known.reason
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
		h.byClient[c.name] = hold{until: now.Add(holdOffAfterAuth), token: c.token, reason: reason}
	}
}
