package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"
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
	gateway, err := s.bridge.upstream.open(ctx)
	if err != nil {
		done()
		return nil, err
	}
	gateway.settled = done
	return gateway, nil
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

// connect sends the request. A gateway that does not know the newer signature
// (before 2026.2.26) is asked once more, on a new connection.
func (s *session) connect(ctx context.Context, who client, asked request, gateway *conversation) (answer, *conversation, error) {
	scopes, _ := grant(asked, who.scopes)
	old := s.bridge.oldSignature.Load()
	said, err := s.ask(ctx, who, asked, scopes, gateway, old)
	if err != nil || said.ok || old || !said.refusal.wantsOldSignature() {
		return said, gateway, err
	}
	gateway.drop() // it has closed, and its turn is wanted
	again, err := s.open(ctx, s.bridge.requests)
	if err != nil {
		return answer{}, nil, err
	}
	second, err := s.ask(ctx, who, asked, scopes, again, true)
	if err == nil && second.ok {
		s.bridge.oldSignature.Store(true)
	}
	return second, again, err
}

// maxEarlyFrames bounds how many frames may come before the answer.
const maxEarlyFrames = 64

// ask sends one signed request and waits for its answer.
func (s *session) ask(ctx context.Context, who client, asked request, scopes []string, gateway *conversation, old bool) (answer, error) {
	frame, err := asked.signed(who, scopes, gateway.nonce, time.Now(), old)
	if err != nil {
		return answer{}, err
	}
	return s.exchange(ctx, asked.id, frame, gateway)
}

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
