package bridge

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// session is one client's connection, from its upgrade to its end.
type session struct {
	bridge *Bridge
	client *websocket.Conn
	// conn is what client speaks over.
	conn   net.Conn
	remote string
	// peer is the address that the connection counts for; local is on this machine.
	peer    string
	local   bool
	name    string
	badName bool
	// shown is the token of the Authorization header, where there was one.
	shown string
	// stranger is the peer again, until the client has shown its token; empty for
	// one on this machine.
	stranger string
	// first is the client's first frame, once it has come; then opened is closed and
	// spoken ends, which it also does with the bridge.
	first  chan opening
	opened chan struct{}
	spoken context.Context
	// pending is the id of its connect request, until that is answered. Who takes it
	// holds answering until the answer is written: another one that ends the session
	// then has nothing to say, and must not close before.
	pending   atomic.Pointer[string]
	answering sync.Mutex
}

// opening is what a client begins with: no frame where it is over.
type opening struct {
	frame []byte
	asked request
	err   error
}

func (s *session) run(ctx context.Context) {
	defer func() { _ = s.client.CloseNow() }()
	s.first, s.opened = make(chan opening, 1), make(chan struct{})
	// The end of the bridge reaches a client in whatever state it is.
	stop := context.AfterFunc(ctx, s.farewell)
	defer stop()
	spoken, spoke := context.WithCancel(ctx)
	defer spoke()
	s.spoken = spoken
	go func() {
		s.first <- s.read()
		close(s.opened)
		spoke()
	}()
	who, err := s.identify()
	switch {
	case err != nil:
	case takes(who.bridgeToken, s.shown):
		err = s.barred(who, false)
	case s.shown != "":
		err = wrongToken()
	}
	if err != nil {
		s.refuse(err)
		return
	}
	gateway, err := s.introduce(ctx, who)
	if err != nil {
		s.unreachable(ctx, err)
		return
	}
	if gateway != nil {
		defer gateway.drop()
	}
	s.converse(ctx, who, gateway)
}

// barred is why nobody is let in as this client now. It tells which clients there
// are, so whoever has to show a token hears it once that is shown.
func (s *session) barred(who client, asks bool) error {
	if who.missing != nil && s.bridge.options.Join == nil {
		return who.missing
	}
	if held, reason := s.bridge.holds.held(who, asks, time.Now()); held {
		return &refusal{reason: reason}
	}
	return nil
}

// introduce sends a challenge. A client that may sign it gets the gateway's, and
// the connection it belongs to, unless its request comes first; another one gets
// ours, and the gateway hears of nobody who has not shown a token.
func (s *session) introduce(ctx context.Context, who client) (*conversation, error) {
	if !s.maySign(who) {
		return nil, s.tell(websocket.MessageText, ownChallenge())
	}
	s.admitted()
	waiting, cancel := context.WithTimeout(s.spoken, s.bridge.requestTimeout)
	defer cancel()
	done, err := s.bridge.challenges.take(waiting, s.peer)
	switch {
	case err == nil:
	case s.spoken.Err() != nil:
		return nil, ctx.Err()
	default:
		return nil, errTooMany
	}
	gateway, err := s.bridge.dial(ctx, done)
	if err != nil {
		return nil, err
	}
	if err = s.tell(websocket.MessageText, gateway.challenge); err != nil {
		gateway.drop()
	}
	return gateway, err
}

// maySign tells whether the client may bring a device of its own, which signs the
// gateway's challenge: so the gateway is asked for one, and not before. To the
// gateway the client is then where the bridge is, which is a right on loopback.
func (s *session) maySign(who client) bool {
	return takes(who.bridgeToken, s.shown) && (s.local || s.bridge.options.RemoteAsLocal) &&
		!s.bridge.guesses.held(s.peer, time.Now())
}

// admitted is for a client that has shown its token, or is gone.
func (s *session) admitted() {
	if s.stranger != "" {
		s.bridge.crowd.known(s.stranger)
		s.stranger = ""
	}
}

// farewell closes a client's connection when the bridge ends.
func (s *session) farewell() { s.end("UNAVAILABLE", websocket.StatusGoingAway, stopping) }

const stopping = "the bridge is stopping"

// errGone is the client's end, which says nothing of the gateway.
var errGone = errors.New("the client is gone")

// tell writes to the client, and fails with errGone. The bridge's own end must not
// break a write off: that would be the end of the connection, without a close frame.
func (s *session) tell(kind websocket.MessageType, data []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.bridge.stallTimeout)
	defer cancel()
	if s.client.Write(ctx, kind, data) != nil {
		return errGone
	}
	return nil
}

// answer says no to the connect request that is not answered yet, where there is
// one: who is only closed waits for an answer, and when that has not come ends
// whatever connection it has by then (reflectt-node e7f03ef, after 30 s).
func (s *session) answer(code, reason string) {
	s.answering.Lock()
	defer s.answering.Unlock()
	if id := s.pending.Swap(nil); id != nil {
		_ = s.tell(websocket.MessageText, refusalFrame(*id, code, reason))
	}
}

// passAnswer hands the gateway's own answer on, whether yes or no.
func (s *session) passAnswer(frame []byte) error {
	s.answering.Lock()
	defer s.answering.Unlock()
	s.pending.Store(nil)
	return s.tell(websocket.MessageText, frame)
}

// end answers the client's request and closes. One that has said nothing yet may
// be about to: many send their request at once, and wait for no challenge.
func (s *session) end(code string, status websocket.StatusCode, reason string) {
	select {
	case <-s.opened:
	case <-time.After(s.bridge.earlyTimeout):
	}
	s.answer(code, reason)
	s.close(status, reason)
}

// close says goodbye. Of a frame that the client has begun the library would wait
// for the rest without end (coder/websocket 1.8.15), and CloseNow for the library.
func (s *session) close(status websocket.StatusCode, reason string) {
	defer time.AfterFunc(s.bridge.closeTimeout, func() { _ = s.conn.Close() }).Stop()
	_ = s.client.Close(status, fit(reason))
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

// converse takes the client's request and lets the client in. Without a gateway
// yet the challenge was ours, which is good for a client that does not sign.
func (s *session) converse(ctx context.Context, who client, gateway *conversation) {
	first := s.request()
	asked, err := first.asked, first.err
	if first.frame == nil {
		return // the client said nothing, and has its close frame
	}
	if err == nil {
		err = s.admit(who, asked)
	}
	if err == nil {
		err = s.barred(who, !asked.ownDevice)
	}
	if err != nil {
		if gateway != nil {
			gateway.end()
		}
		s.refuse(err)
		return
	}
	s.admitted()
	if asked.ownDevice {
		s.passOn(ctx, asked, first.frame, gateway)
		return
	}
	s.speakFor(ctx, who, asked, gateway)
}

// request waits for the first frame. No frame means that the connection is over:
// by the client, or because it was too slow or sent too much.
func (s *session) request() opening {
	slow := time.AfterFunc(s.bridge.requestTimeout, func() {
		s.event(Event{Kind: Silent, Reason: noRequest})
		s.close(websocket.StatusPolicyViolation, noRequest)
	})
	defer slow.Stop()
	return <-s.first
}

const noRequest = "no connect request came"

// read takes the first frame, and remembers that it has to be answered.
func (s *session) read() opening {
	s.client.SetReadLimit(maxRequest)
	kind, frame, err := s.client.Read(context.Background())
	if err != nil {
		return opening{err: err}
	}
	if kind != websocket.MessageText {
		return opening{frame: frame, err: errors.New("the first frame is not text")}
	}
	asked, err := parseRequest(frame)
	if err != nil {
		err = &refusal{reason: err.Error()}
	}
	if asked.id != "" {
		s.pending.Store(&asked.id)
	}
	return opening{frame, asked, err}
}

// admit asks for the token that isolates clients from each other. A device of the
// client's own is let through where that lends it nothing.
func (s *session) admit(who client, asked request) error {
	shown := s.shown
	if shown == "" && !asked.ownDevice {
		shown = asked.token
	}
	switch {
	case !takes(who.bridgeToken, shown):
		return wrongToken()
	case who.missing != nil && asked.ownDevice:
		return who.missing
	case asked.ownDevice && s.bridge.guesses.held(s.peer, time.Now()):
		return &refusal{reason: "a device of its own from here has failed too often: again in some minutes"}
	case asked.ownDevice && !s.local && !s.bridge.options.RemoteAsLocal:
		return &refusal{
			reason: "a device of its own is passed on from this machine only: connect to the gateway itself, or without the device",
			hint:   "pair that device: bootstrap seed --client NAME=KEY; docs/bridge.md says what --bridge-remote-as-local would open",
		}
	case who.name == "" && !asked.ownDevice:
		return &refusal{reason: "the URL names no client: its path is /NAME"}
	}
	return nil
}

func wrongToken() error {
	return &refusal{reason: "the bridge token is missing or wrong for this client", hint: "give the client its bridge token as OPENCLAW_GATEWAY_TOKEN"}
}

// speakFor connects as the client's device and relays what follows. A client
// that has none, or one that the gateway does not know, is joined before.
func (s *session) speakFor(ctx context.Context, who client, asked request, gateway *conversation) {
	var said answer
	var err error
	joined := who.missing != nil
	switch {
	case joined:
		who, gateway, err = s.join(ctx, who, gateway)
	case gateway == nil:
		gateway, err = s.open(ctx, s.bridge.requests)
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
		defer gateway.drop()
	}
	switch {
	case errors.As(err, new(*refusal)):
		s.refuse(err)
	case err != nil:
		s.bridge.holds.passes(who)
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
		s.refuse(err)
		return
	}
	s.bridge.state.note("")
	s.bridge.holds.taken(who)
	scopes, dropped := grant(asked, who.scopes)
	s.event(Event{Kind: LetIn, Scopes: scopes, Dropped: dropped})
	if err := s.passAnswer(hello); err != nil {
		return
	}
	s.event(Event{Kind: Ended, Reason: s.relay(gateway.ws, "")})
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
	if r.RequestID == "" && r.unpaired() || r.Kind == protocol.RateLimited {
		s.bridge.holds.hold(who, r, reason, time.Now())
	} else {
		s.bridge.holds.passes(who)
	}
	s.event(event)
	if err := s.passAnswer(said.raw); err == nil {
		s.relay(gateway.ws, reason)
	}
}

func startingReason(r gatewayRefusal) string {
	if r.Kind == protocol.Starting {
		return r.Message
	}
	return ""
}

// refuse says no in the bridge's own name.
func (s *session) refuse(err error) {
	event := Event{Kind: Refused, Reason: err.Error()}
	if known := (*refusal)(nil); errors.As(err, &known) {
		event.Hint = known.hint
		if known.cause != nil {
			event.Reason += ": " + known.cause.Error()
		}
	}
	s.event(event)
	s.end("INVALID_REQUEST", websocket.StatusPolicyViolation, "bridge: "+err.Error())
}

// unreachable ends a client whose gateway does not answer, with the gateway's
// own close where it sent one. What the clients do is not held against the gateway.
func (s *session) unreachable(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
		s.farewell()
		return
	case errors.Is(err, errGone):
		return
	case errors.Is(err, errTooMany):
		s.event(Event{Kind: Full, Reason: err.Error()})
		s.end("UNAVAILABLE", websocket.StatusTryAgainLater, err.Error())
		return
	}
	s.bridge.state.failed(err)
	code, reason := websocket.StatusTryAgainLater, "gateway unreachable: "+err.Error()
	if closed := (*protocol.CloseError)(nil); errors.As(err, &closed) {
		code, reason = websocket.StatusCode(closed.Code), closed.Reason
	} else if closed := (websocket.CloseError{}); errors.As(err, &closed) {
		code, reason = closed.Code, closed.Reason
	} else if errors.Is(err, context.DeadlineExceeded) {
		reason = "gateway unreachable: no answer in time"
	}
	s.event(Event{Kind: Unreachable, Reason: reason})
	s.end("UNAVAILABLE", code, reason)
}

func (s *session) event(e Event) {
	e.Client, e.Remote = s.name, s.remote
	s.bridge.options.Notify(e)
}
