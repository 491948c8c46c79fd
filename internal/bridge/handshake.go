package bridge

import (
	"context"
	"errors"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/protocol"
)

var errTooMany = errors.New("too many clients connect at once")

// open connects to the gateway when it is this peer's turn. That lasts until the
// gateway has let the client in, or the connection is over: see
// [conversation.settled].
func (s *session) open(ctx context.Context, turns *turns) (*conversation, error) {
	waiting, cancel := context.WithTimeout(ctx, queueTimeout)
	defer cancel()
	done, err := turns.take(waiting, s.peer)
	if err != nil {
		return nil, errTooMany
	}
	return s.bridge.dial(ctx, done)
}

// mayJoin tells whether a refusal is one that a join can help: the gateway does
// not know the device. One that waits for an approval already is known.
func (s *session) mayJoin(said answer) bool {
	return !said.ok && s.bridge.options.Join != nil && said.refusal.unpaired() && said.refusal.RequestID == ""
}

// join has the client joined, and comes back with its bundle and with a new
// connection: the gateway does not wait for a request as long as a join takes.
func (s *session) join(ctx context.Context, who client, gateway *conversation) (client, *conversation, error) {
	if gateway != nil {
		gateway.end()
	}
	err := s.bridge.joins.once(ctx, who.name, func() error {
		now, err := s.identify()
		if err != nil || now.missing == nil && now.token != who.token {
			return err // another connection has had it joined in between
		}
		if err := claim(now, s.bridge.options.BundleDir); err != nil {
			return err
		}
		err = s.bridge.options.Join(ctx, who.name)
		if err == nil {
			s.event(Event{Kind: Joined})
		}
		return err
	})
	if ctx.Err() != nil {
		return who, nil, ctx.Err()
	}
	if err != nil {
		return who, nil, notJoined(who.name, err)
	}
	again, err := s.identify()
	if err == nil && again.missing != nil {
		err = again.missing
	}
	if err != nil {
		return who, nil, err
	}
	fresh, err := s.open(ctx, s.bridge.requests)
	return again, fresh, err
}

// connect sends the signed request and waits for its answer. A second try has a
// connection of its own.
func (s *session) connect(ctx context.Context, who client, asked request, gateway *conversation) (said answer, _ *conversation, err error) {
	scopes, _ := grant(asked, who.scopes)
	err = s.bridge.signing.Try(func(signature protocol.Signature) (err error) {
		if said.raw != nil {
			gateway.drop() // it has closed, and its turn is wanted
			if gateway, err = s.open(ctx, s.bridge.requests); err != nil {
				return err
			}
		}
		frame := asked.signed(who, scopes, gateway.nonce, signature)
		if said, err = s.exchange(ctx, asked.id, frame, gateway); err == nil && !said.ok {
			return &said.refusal.Refusal
		}
		return err
	})
	if errors.As(err, new(*protocol.Refusal)) {
		err = nil // the gateway's own, in said
	}
	return said, gateway, err
}

// maxEarlyFrames bounds how many frames may come before the answer.
const maxEarlyFrames = 64

// exchange sends a connect request and waits for its answer; what comes before it
// goes on to the client.
func (s *session) exchange(ctx context.Context, id string, frame []byte, gateway *conversation) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.bridge.answerTimeout)
	defer cancel()
	// Where this fails, the gateway has closed, and reading tells why.
	_ = gateway.ws.Write(ctx, websocket.MessageText, frame)
	for range maxEarlyFrames {
		kind, data, err := gateway.ws.Read(ctx)
		if err != nil {
			return answer{}, err
		}
		if said, ok := parseAnswer(data, id); ok && kind == websocket.MessageText {
			if said.ok {
				gateway.settled()
			}
			return said, nil
		}
		if err := s.tell(kind, data); err != nil {
			return answer{}, err
		}
	}
	return answer{}, errors.New("it does not answer the connect request")
}
