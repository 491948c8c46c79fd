package bridge

import (
	"context"
	"errors"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// session is one client's connection, from its upgrade to its end.
type session struct {
	bridge  *Bridge
	client  *websocket.Conn
	remote  string
	name    string
	badName bool
	// shown is the token of the Authorization header, where there was one.
	shown string
}

func (s *session) run(ctx context.Context) {
	defer func() { _ = s.client.CloseNow() }()
	// The end of the bridge reaches a client in whatever state it is.
	stop := context.AfterFunc(ctx, s.farewell)
	defer stop()
	who, err := s.identify()
	if err == nil && who.missing != nil && s.bridge.options.Join == nil {
		err = who.missing
	}
	if err != nil {
		s.refuse("", err)
		return
	}
	if held, reason := s.bridge.holds.held(who, time.Now()); held {
		s.refuse("", &refusal{reason: reason})
		return
	}
	gateway, err := s.bridge.upstream.open(ctx)
	if err != nil {
		s.unreachable(ctx, err)
		return
	}
	defer func() { _ = gateway.ws.CloseNow() }()
	s.converse(ctx, who, gateway)
}

// farewell closes a client's connection when the bridge ends.
func (s *session) farewell() { _ = s.client.Close(websocket.StatusGoingAway, "the bridge is stopping") }

// tell writes to the client. The bridge's own end must not break a write off:
// that would be the end of the connection, without a close frame.
func (s *session) tell(kind websocket.MessageType, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.bridge.stallTimeout)
	defer cancel()
	return s.client.Write(ctx, kind, data)
}

// identify finds the bundle that is named. Without a name there is none, which
// is enough for a client that brings its own device.
func (s *session) identify() (client, error) {
	switch {
	case s.badName:
		s.name = ""
		return client{}, &refusal{reason: "that is no name of a client: the path is /NAME"}
	case s.name == "":
		return client{bridgeToken: s.bridge.options.Token}, nil
	}
	return readClient(s.bridge.options, s.name)
}

// converse forwards the challenge, answers it for the client, and relays.
func (s *session) converse(ctx context.Context, who client, gateway *conversation) {
	if err := s.tell(websocket.MessageText, gateway.challenge); err != nil {
		return
	}
	frame, asked, err := s.readRequest()
	if frame == nil {
		_ = gateway.ws.Close(websocket.StatusNormalClosure, "")
		return // the client said nothing, and has its close frame
	}
	if err == nil {
		err = s.admit(who, asked)
	}
	if err != nil {
		_ = gateway.ws.Close(websocket.StatusNormalClosure, "")
		s.refuse(asked.id, err)
		return
	}
	if asked.ownDevice {
		s.event(Event{Kind: PassedOn})
		// Where this fails, the gateway has closed, and reading tells why.
		_ = gateway.ws.Write(ctx, websocket.MessageText, frame)
		s.event(Event{Kind: Ended, Reason: s.bridge.relay(s.client, gateway.ws, "")})
		return
	}
	s.speakFor(ctx, who, asked, gateway)
}

// readRequest waits for the first frame. No frame means that the connection is
// over: by the client, or because it was too slow or sent too much.
func (s *session) readRequest() (frame []byte, asked request, err error) {
	s.client.SetReadLimit(maxRequest)
	slow := time.AfterFunc(s.bridge.requestTimeout, func() {
		_ = s.client.Close(websocket.StatusPolicyViolation, "no connect request came")
	})
	defer slow.Stop()
	kind, frame, err := s.client.Read(context.Background())
	if err != nil {
		return nil, request{}, err
	}
	if kind != websocket.MessageText {
		return frame, request{}, errors.New("the first frame is not text")
	}
	if asked, err = parseRequest(frame); err != nil {
		err = &refusal{reason: err.Error()}
	}
	return frame, asked, err
}

// admit asks for the token that isolates clients from each other.
func (s *session) admit(who client, asked request) error {
	shown := s.shown
	if shown == "" && !asked.ownDevice {
		shown = asked.token
	}
	switch {
	case !takes(who.bridgeToken, shown):
		return &refusal{reason: "the bridge token is missing or wrong for this client", hint: "give the client its bridge token as OPENCLAW_GATEWAY_TOKEN"}
	case who.missing != nil && asked.ownDevice:
		return who.missing
	case who.name == "" && !asked.ownDevice:
		return &refusal{reason: "the URL names no client: its path is /NAME"}
	}
	return nil
}

// speakFor connects as the client's device and relays what follows. A client
// that has none, or one that the gateway does not know, is joined before.
func (s *session) speakFor(ctx context.Context, who client, asked request, gateway *conversation) {
	var said answer
	var err error
	joined := who.missing != nil
	if joined {
		who, gateway, err = s.join(ctx, who, gateway)
	}
	if err == nil {
		said, gateway, err = s.connect(ctx, who, asked, gateway)
	}
	if err == nil && !joined && s.mayJoin(said) {
		refused := said.refusal
		if who, gateway, err = s.join(ctx, who, gateway); err == nil {
			said, gateway, err = s.connect(ctx, who, asked, gateway)
		} else if failed := (*refusal)(nil); errors.As(err, &failed) {
			s.bridge.holds.hold(who, refused, failed.reason, time.Now())
		}
	}
	if gateway != nil {
		defer func() { _ = gateway.ws.CloseNow() }()
	}
	switch {
	case errors.As(err, new(*refusal)):
		s.refuse(asked.id, err)
	case err != nil:
		s.unreachable(ctx, err)
	case !said.ok:
		s.refusedByGateway(who, said, gateway)
	default:
		s.serve(who, asked, said, gateway)
	}
}

// serve passes the gateway's hello on, and then all that follows.
func (s *session) serve(who client, asked request, said answer, gateway *conversation) {
	hello, err := said.forClient(asked, who)
	if err != nil {
		s.refuse(asked.id, err)
		return
	}
	s.bridge.state.note("")
	scopes, dropped := grant(asked, who.scopes)
	s.event(Event{Kind: LetIn, Scopes: scopes, Dropped: dropped})
	if err := s.tell(websocket.MessageText, hello); err != nil {
		return
	}
	s.event(Event{Kind: Ended, Reason: s.bridge.relay(s.client, gateway.ws, "")})
}

// mayJoin tells whether a refusal is one that a join can help: the gateway does
// not know the device. One that waits for an approval already is known.
func (s *session) mayJoin(said answer) bool {
	return !said.ok && s.bridge.options.Join != nil && said.refusal.unpaired() && said.refusal.RequestID == ""
}

// join has the client joined, and comes back with its bundle and with a new
// connection: the gateway does not wait for a request as long as a join takes.
func (s *session) join(ctx context.Context, who client, gateway *conversation) (client, *conversation, error) {
	_ = gateway.ws.Close(websocket.StatusNormalClosure, "")
	err := s.bridge.joins.once(ctx, who.name, func() error {
		now, err := s.identify()
		if err != nil || now.missing == nil && now.token != who.token {
			return err // another connection has had it joined in between
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
	fresh, err := s.bridge.upstream.open(ctx)
	return again, fresh, err
}

// connect sends the request. A gateway that does not know the newer signature
// (before 2026.2.26) is asked once more, on a new connection.
func (s *session) connect(ctx context.Context, who client, asked request, gateway *conversation) (answer, *conversation, error) {
	scopes, _ := grant(asked, who.scopes)
	old := s.bridge.oldSignature.Load()
	said, err := s.ask(ctx, who, asked, scopes, gateway, old)
	if err != nil || said.ok || old || !said.refusal.SignatureRejected() {
		return said, gateway, err
	}
	again, err := s.bridge.upstream.open(ctx)
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

// ask sends one signed request and waits for its answer; what comes before it
// goes on to the client.
func (s *session) ask(ctx context.Context, who client, asked request, scopes []string, gateway *conversation, old bool) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, s.bridge.answerTimeout)
	defer cancel()
	frame, err := asked.signed(who, scopes, gateway.nonce, time.Now(), old)
	if err != nil {
		return answer{}, err
	}
	// Where this fails, the gateway has closed, and reading tells why.
	_ = gateway.ws.Write(ctx, websocket.MessageText, frame)
	for range maxEarlyFrames {
		kind, data, err := gateway.ws.Read(ctx)
		if err != nil {
			return answer{}, err
		}
		if said, ok := parseAnswer(data, asked.id); ok && kind == websocket.MessageText {
			return said, nil
		}
		if err := s.tell(kind, data); err != nil {
			return answer{}, err
		}
	}
	return answer{}, errors.New("it does not answer the connect request")
}

// refusedByGateway passes the gateway's no on, keeps an address from being
// locked out, and names the remedy.
func (s *session) refusedByGateway(who client, said answer, gateway *conversation) {
	r := said.refusal
	s.bridge.state.note(startingReason(r))
	event := Event{Kind: Refused, Reason: r.Message, Hint: r.remedy(who.name)}
	reason := ""
	if r.unpaired() {
		reason = notPaired(who.name, event.Hint)
	}
	if r.RequestID == "" || r.Kind == protocol.RateLimited {
		s.bridge.holds.hold(who, r, reason, time.Now())
	}
	s.event(event)
	if err := s.tell(websocket.MessageText, said.raw); err == nil {
		s.bridge.relay(s.client, gateway.ws, reason)
	}
}

func startingReason(r gatewayRefusal) string {
	if r.Kind == protocol.Starting {
		return r.Message
	}
	return ""
}

// refuse says no in the bridge's own name.
func (s *session) refuse(id string, err error) {
	event := Event{Kind: Refused, Reason: err.Error()}
	if known := (*refusal)(nil); errors.As(err, &known) {
		event.Hint = known.hint
		if known.cause != nil {
			event.Reason += ": " + known.cause.Error()
		}
	}
	s.event(event)
	if id != "" {
		_ = s.tell(websocket.MessageText, refusalFrame(id, err.Error()))
	}
	_ = s.client.Close(websocket.StatusPolicyViolation, fit("bridge: "+err.Error()))
}

// unreachable ends a client whose gateway does not answer, with the gateway's
// own close where it sent one.
func (s *session) unreachable(ctx context.Context, err error) {
	if ctx.Err() != nil {
		s.farewell()
		return
	}
	s.bridge.state.failed(err)
	code, reason := websocket.StatusTryAgainLater, "gateway unreachable: "+err.Error()
	if closed := (websocket.CloseError{}); errors.As(err, &closed) {
		code, reason = closed.Code, closed.Reason
	} else if errors.Is(err, context.DeadlineExceeded) {
		reason = "gateway unreachable: no answer in time"
	}
	s.event(Event{Kind: Unreachable, Reason: reason})
	_ = s.client.Close(code, fit(reason))
}

func (s *session) event(e Event) {
	e.Client, e.Remote = s.name, s.remote
	s.bridge.options.Notify(e)
}
