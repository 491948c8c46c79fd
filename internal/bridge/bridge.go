// Package bridge owns the relay for clients that cannot sign: it signs for each of
// them as the device whose bundle the client was given. It replaces the first connect
// request of a connection, removes the device token from the answer, and forwards
// everything else unchanged.
//
// It grants no scope that the bundle has not, shows no client a token, keeps
// one connection to the gateway for each client's, and never retries a refusal
// for authentication. It must not seed, approve, log, or listen beyond this
// machine without a token that clients have to show.
package bridge

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/health"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// Options name the gateway, the bundles, and who may connect.
type Options struct {
	// GatewayURL is ws:// or wss://.
	GatewayURL string
	TLS        protocol.TLSOptions
	// BundleDir holds one directory a client, as [seed.OpenBundle] makes them.
	BundleDir string
	// Token is what a client has to show whose bundle has no bridge-token of
	// its own; empty where it need not show any.
	Token string
	// OwnTokens gives every bundle that has no bridge-token one of its own.
	OwnTokens bool
	// Join makes the bundle of a client that has none, or pairs it anew where the
	// gateway does not know it; then the bundle is read again. It is called for
	// one client at a time, once for all who ask meanwhile. Nil: nobody is
	// joined. Errors may be a [*JoinError].
	Join func(ctx context.Context, name string) error
	// RemoteAsLocal passes clients with a device of their own on from other machines,
	// too. To the gateway all come from the bridge's address, and loopback is a
	// right: whoever has its token is let in there, with any scope.
	RemoteAsLocal bool
	// Hosts are further names by which clients may call the bridge.
	Hosts []string
	// Notify hears what happens; nil hears nothing. It is called from many
	// goroutines and must not block.
	Notify func(Event)
}

// EventKind is what an [Event] is about.
type EventKind string

const (
	// Joined: the client's bundle was made, or paired anew, because it asked.
	Joined EventKind = "joined"
	// LetIn: the gateway took the client as its device.
	LetIn EventKind = "let-in"
	// PassedOn: the client brought a device of its own; nothing was changed.
	PassedOn EventKind = "passed-on"
	// Refused: the bridge or the gateway said no; see Reason.
	Refused EventKind = "refused"
	// Unreachable: there was no gateway to ask.
	Unreachable EventKind = "unreachable"
	// Silent: the client sent no connect request in time.
	Silent EventKind = "silent"
	// Full: there was no room for one more.
	Full EventKind = "full"
	// Ended: the connection of a client that was let in is over.
	Ended EventKind = "ended"
)

// Event is one thing that happened to one client. It holds no secret; texts of
// peers are fit for a log.
type Event struct {
	Kind EventKind
	// Client is the name asked for; empty where there was none or no valid one.
	Client string
	// Remote is where the client came from.
	Remote string
	// Scopes were granted; Dropped were asked for and are not the bundle's.
	Scopes, Dropped []string
	Reason          string
	// Hint is the next thing to type, where there is something to say.
	Hint string
}

// The limits of one bridge. The gateway allows 3 s (2026.3.13) to 15 s from
// the challenge to the request, and answers within about as much.
const (
	maxClients       = 4096
	dialTimeout      = 10 * time.Second
	requestTimeout   = 15 * time.Second
	earlyTimeout     = 300 * time.Millisecond
	answerTimeout    = 30 * time.Second
	stallTimeout     = 2 * time.Minute
	queueTimeout     = 2 * time.Minute
	closeTimeout     = 6 * time.Second
	stopTimeout      = 12 * time.Second
	holdOffAfterAuth = 30 * time.Second
)

// Bridge relays between clients and one gateway.
type Bridge struct {
	options  Options
	upstream *protocol.Dialer
	holds    holds
	joins    joins
	guesses  guesses
	state    gatewayState
	crowd    crowd
	// chunks are lent to a direction of a relay while a message passes, so that an idle
	// connection holds none.
	chunks sync.Pool
	// Turns for connections to the gateway that it has not let in: challenges for
	// those of clients that wait for one, requests for those that have sent theirs,
	// tries for those among both that show a secret of the client's own.
	challenges, requests, tries *turns
	// asking has room for one question of [Bridge.Ready].
	asking  chan struct{}
	signing protocol.Signing
	// The limits, so that tests need not wait for them.
	requestTimeout, earlyTimeout, answerTimeout, stallTimeout, closeTimeout time.Duration
}

// New checks the options and makes a bridge that serves nothing yet.
func New(options Options) (*Bridge, error) {
	if options.Token != "" && len(options.Token) < minToken {
		return nil, errors.New("a bridge token has at least 16 characters")
	}
	up, err := newUpstream(options.GatewayURL, options.TLS)
	if err != nil {
		return nil, err
	}
	if options.Notify == nil {
		options.Notify = func(Event) {}
	}
	return &Bridge{
		options: options, upstream: up, asking: make(chan struct{}, 1),
		chunks:     sync.Pool{New: func() any { return new([chunk]byte) }},
		challenges: newTurns(maxHandshakes/2, challengesPerPeer), requests: newTurns(maxHandshakes/2, maxHandshakes/2),
		tries:          newTurns(maxTries, triesPerPeer),
		requestTimeout: requestTimeout, earlyTimeout: earlyTimeout, answerTimeout: answerTimeout, stallTimeout: stallTimeout,
		closeTimeout: closeTimeout,
	}, nil
}

// Allows refuses a listener that other machines reach where clients need not
// show a token: an [*ExposedError].
func (b *Bridge) Allows(l *Listener) error {
	if l.Local() || b.options.Token != "" {
		return nil
	}
	return &ExposedError{Address: l.Address()}
}

// Serve answers on the listeners until the context ends; then it closes every
// client's connection with 1001 and returns nil. It closes the listeners.
func (b *Bridge) Serve(ctx context.Context, listeners ...*Listener) error {
	for _, l := range listeners {
		if err := b.Allows(l); err != nil {
			return errors.Join(err, closeAll(listeners))
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	failed := make(chan error, len(listeners))
	servers := make([]*http.Server, len(listeners))
	probes := b.probes()
	for i, l := range listeners {
		l.rejected = func(remote, reason string) { b.options.Notify(Event{Kind: Refused, Remote: remote, Reason: reason}) }
		servers[i] = health.NewServer(&door{bridge: b, listener: l, health: probes, ctx: ctx})
		go func() { failed <- servers[i].Serve(l) }()
	}
	var err error
	running := len(listeners)
	select {
	case <-ctx.Done():
	case err = <-failed:
		running--
		cancel()
	}
	// Sessions are no longer the server's: see below. One whose upgrade is just being
	// answered is about to be.
	upgraded, done := context.WithTimeout(context.Background(), b.earlyTimeout)
	defer done()
	for _, server := range servers {
		_ = server.Shutdown(upgraded)
		_ = server.Close()
	}
	for range running {
		if ended := <-failed; !errors.Is(ended, http.ErrServerClosed) {
			err = errors.Join(err, ended)
		}
	}
	b.crowd.leave()
	return err
}

func closeAll(listeners []*Listener) error {
	var errs []error
	for _, l := range listeners {
		errs = append(errs, l.Close())
	}
	return errors.Join(errs...)
}
