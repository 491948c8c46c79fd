package approve

import (
	"context"
	"errors"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
	// lockout is how long a gateway keeps an address out after ten failures
	// within a minute (2026.5.28 and later), where it does not say.
	lockout = 5 * time.Minute
)

// backoff decides when to connect again.
type backoff struct{ next time.Duration }

func (b *backoff) reset() { b.next = 0 }

// after tells how long to pause after this error, and whether to go on at all.
// What a gateway refuses for good must not be repeated: it counts failures.
func (b *backoff) after(err error) (pause time.Duration, again bool) {
	if b.next == 0 {
		b.next = firstPause
	}
	pause = b.next
	b.next = min(2*b.next, maxPause)
	var refusal *protocol.Refusal
	var transport *protocol.TransportError
	var closed *protocol.CloseError
	switch {
	case errors.As(err, &refusal):
		asked := time.Duration(refusal.RetryAfterMs) * time.Millisecond
		switch refusal.Kind {
		case protocol.Starting, protocol.InternalClose, protocol.AuthChanged:
			return max(pause, asked), true
		case protocol.RateLimited:
			if asked == 0 {
				asked = lockout
			}
			return asked, true
		}
		return 0, false
	case errors.As(err, &transport):
		switch transport.Kind {
		case protocol.TLS, protocol.BadURL, protocol.NotGateway:
			return 0, false
		}
		return pause, true
	case errors.As(err, &closed), errors.Is(err, context.DeadlineExceeded):
		return pause, true
	}
	return 0, false
}
