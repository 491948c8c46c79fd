package bridge

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// A gateway locks an address out for five minutes after ten failed logins within
// one (2026.5.28 and later), but never loopback, from where the bridge connects.
// So the bridge does it for clients that show a secret of their own, a little
// earlier: five failures, with at most two tries underway.
const (
	maxGuesses   = 5
	guessWindow  = time.Minute
	guessHoldOff = 5 * time.Minute
	maxTries     = 16
	triesPerPeer = 2
)

// guesses remember the failed logins of clients with a device of their own.
type guesses struct {
	mu     sync.Mutex
	byPeer map[string]*guesser
}

type guesser struct {
	failed []time.Time // within the last guessWindow
	until  time.Time
}

// held tells whether a peer has failed too often.
func (g *guesses) held(peer string, now time.Time) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.byPeer[peer]
	return known != nil && now.Before(known.until)
}

// note counts a refusal, where it is one that a guess gets.
func (g *guesses) note(peer string, r gatewayRefusal, now time.Time) {
	switch r.Kind {
	case protocol.AuthToken, protocol.AuthSetup, protocol.DeviceToken, protocol.DeviceAuth, protocol.RateLimited:
	default:
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for other, known := range g.byPeer {
		known.failed = slices.DeleteFunc(known.failed, func(at time.Time) bool { return now.Sub(at) > guessWindow })
		if len(known.failed) == 0 && now.After(known.until) {
			delete(g.byPeer, other)
		}
	}
	if g.byPeer == nil {
		g.byPeer = map[string]*guesser{}
	}
	known := g.byPeer[peer]
	if known == nil {
		known = &guesser{}
		g.byPeer[peer] = known
	}
	if known.failed = append(known.failed, now); len(known.failed) >= maxGuesses {
		known.until = now.Add(guessHoldOff)
	}
}

// passOn lets the gateway judge a client that brings a device of its own, as it
// came. Only how often that fails is noted.
func (s *session) passOn(ctx context.Context, asked request, frame []byte, gateway *conversation) {
	if gateway == nil { // it has not waited for a challenge
		var err error
		if gateway, err = s.open(ctx, s.bridge.requests); err != nil {
			s.unreachable(ctx, err)
			return
		}
		defer gateway.drop()
	}
	said, err := s.try(ctx, asked, frame, gateway)
	switch {
	case errors.As(err, new(*refusal)):
		s.refuse(err)
	case err != nil:
		s.unreachable(ctx, err)
	default:
		event := Event{Kind: PassedOn}
		if !said.ok {
			event = Event{Kind: Refused, Reason: said.refusal.Message}
		}
		s.event(event)
		if s.passAnswer(said.raw) != nil {
			return
		}
		why := s.relay(gateway.ws, "")
		if said.ok {
			s.event(Event{Kind: Ended, Reason: why})
		}
	}
}

func (s *session) try(ctx context.Context, asked request, frame []byte, gateway *conversation) (answer, error) {
	done, err := s.bridge.tries.take(ctx, s.peer)
	if err != nil {
		return answer{}, err
	}
	defer done()
	// Others of this peer may have failed while it waited.
	if err := s.admit(client{}, asked); err != nil {
		return answer{}, err
	}
	said, err := s.exchange(ctx, asked.id, frame, gateway)
	if err == nil && !said.ok {
		s.bridge.guesses.note(s.peer, said.refusal, time.Now())
	}
	return said, err
}
