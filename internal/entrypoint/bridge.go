package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// asksItself refuses a bridge whose gateway is one of its own listeners: each
// client would make it connect to itself, without end. told is what --gateway-url
// names: the bridge's gateway, but under run, where the bridge serves the gateway
// that is started here and the proof goes to that URL.
func (b *openedBridge) asksItself(ctx context.Context, flag string, s settings.Settings, serves, told string) error {
	for _, l := range b.listeners {
		switch {
		case (s.GatewayURL == "" || serves != told) && pointsAt(ctx, serves, l.Addr()):
			return pairing.Usage(fmt.Errorf("%s (BOOTSTRAP_BRIDGE): %s is where the gateway is expected to listen", flag, l.Address()),
				"choose another port for the bridge; OPENCLAW_GATEWAY_PORT names the gateway's where its command does not show it")
		case pointsAt(ctx, told, l.Addr()):
			return pairing.Usage(fmt.Errorf("--gateway-url (OPENCLAW_GATEWAY_URL): %s is where this bridge itself listens", protocol.DisplayURL(told)),
				"--gateway-url with the gateway's own address: the URL in a client's env may be a bridge's")
		}
	}
	return nil
}

// pointsAt tells whether a gateway's URL is a listener's own address.
func pointsAt(ctx context.Context, gatewayURL string, listener net.Addr) bool {
	tcp, isTCP := listener.(*net.TCPAddr)
	u, err := url.Parse(gatewayURL)
	if !isTCP || err != nil || u.Port() != strconv.Itoa(tcp.Port) {
		return false
	}
	return slices.ContainsFunc(gateway.OnThisMachine(ctx, u.Host), func(own string) bool {
		address, err := netip.ParseAddrPort(own)
		return err == nil && (tcp.IP.IsUnspecified() || tcp.IP.Equal(address.Addr().AsSlice()))
	})
}

// openedBridge listens already, so that an address that cannot be had is told
// before anything else is begun; clients wait until it serves.
type openedBridge struct {
	bridge    *bridge.Bridge
	listeners []*bridge.Listener
	// stop ends serving, and ended is closed when it has.
	stop  context.CancelFunc
	ended chan struct{}
}

// openBridge listens where the settings say. The bundles are read for each
// client anew, so it may serve before they are there.
func openBridge(ctx context.Context, flag string, t *pairing.Target, options bridge.Options) (*openedBridge, error) {
	options.TLS, options.BundleDir = t.Trust(), t.BundlesDir()
	options.RemoteAsLocal = t.Settings.BridgeRemoteAsLocal
	options.OwnTokens, options.Hosts = t.Settings.BridgeTokens, t.Settings.BridgeHosts
	log, count := &bridgeLog{log: t.Log}, options.Notify
	options.Notify = func(event bridge.Event) {
		log.logEvent(event)
		if count != nil {
			count(event)
		}
	}
	b, err := bridge.New(options)
	if err != nil {
		return nil, pairing.Usage(fmt.Errorf("the bridge cannot be set up: %w", err), "")
	}
	out := &openedBridge{bridge: b, ended: make(chan struct{})}
	for _, where := range t.Settings.Bridge {
		l, err := bridge.Listen(where)
		if err == nil {
			out.listeners = append(out.listeners, l)
			err = b.Allows(l)
		}
		if err != nil {
			out.close()
			return nil, pairing.Usage(fmt.Errorf("%s (BOOTSTRAP_BRIDGE): %w", flag, err), pairing.HintOf(err))
		}
	}
	if err := out.asksItself(ctx, flag, t.Settings, options.GatewayURL, t.URL); err != nil {
		out.close()
		return nil, err
	}
	for _, l := range out.listeners {
		t.Log.Info().Str("address", l.Address()).Str("gateway", protocol.DisplayURL(options.GatewayURL)).Msg("bridge: listening")
	}
	return out, nil
}

// ServeBridge lets clients in at the addresses of the settings, until the context
// ends; flag is what names them.
func ServeBridge(ctx context.Context, t *pairing.Target, flag, token string) error {
	b, err := openBridge(ctx, flag, t, bridge.Options{GatewayURL: t.URL, Token: token, Join: joinElsewhere(t)})
	if err != nil {
		return err
	}
	return b.bridge.Serve(ctx, b.listeners...)
}

// close gives the addresses back.
func (b *openedBridge) close() {
	if b == nil {
		return
	}
	for _, l := range b.listeners {
		_ = l.Close()
	}
}

// bridgeBeside opens the bridge of a gateway that we are about to start; nil
// where none was asked for. It serves the gateway on this machine, wherever
// other clients are told to find it.
func (e *Entrypoint) bridgeBeside(ctx context.Context) (*openedBridge, error) {
	if len(e.Settings.Bridge) == 0 {
		return nil, nil
	}
	return openBridge(ctx, "--bridge", e.Target, bridge.Options{GatewayURL: e.Listen.URL(), Token: e.BridgeToken, Join: joinHere(e.Target), Notify: e.counted.heard})
}

// serve lets clients in until drain.
func (b *openedBridge) serve(log zerolog.Logger) {
	if b == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() {
		defer close(b.ended)
		if err := b.bridge.Serve(ctx, b.listeners...); ctx.Err() == nil {
			log.Error().Err(err).Msg("bridge: it has ended, and the gateway runs on: no client is let in that cannot sign")
		}
	}()
}

// drainTimeout is how long clients have to answer a goodbye when the gateway has
// ended: one that does not must not cost a container its exit code.
const drainTimeout = 3 * time.Second

// drain ends it: clients have the gateway's own goodbye by now, where it said
// one, and those that have not are told that the bridge stops.
func (b *openedBridge) drain() {
	if b == nil {
		return
	}
	b.stop()
	select {
	case <-b.ended:
	case <-time.After(drainTimeout):
	}
}

// ready tells whether clients can be served; nil where they can, or where there
// is no bridge.
func (b *openedBridge) ready(ctx context.Context) error {
	if b == nil {
		return nil
	}
	select {
	case <-b.ended:
		return errors.New("the bridge has ended")
	default:
		return b.bridge.Ready(ctx)
	}
}

// joinHere pairs whoever asks our bridge for a name that has no bundle, beside
// the gateway that we supervise: by seeding, as at the start.
func joinHere(t *pairing.Target) func(context.Context, string) error {
	return joinBy(t.Settings, func(ctx context.Context, client settings.Client) error {
		// It is asked for only where the gateway has just answered.
		seeded, err := t.Pair(ctx, pairing.Wishes{Live: true, Clients: settings.Clients{client}})
		if err != nil {
			return err
		}
		if seeded.Named(client.Name).Outcome == seed.Revoked {
			return &bridge.JoinError{
				Command: "bootstrap seed --reseed " + client.Name,
				Err:     errors.New("somebody removed this client, and it stays removed"),
			}
		}
		return nil
	})
}

// joinElsewhere does the same for a bridge that stands alone, by whichever way
// works here, and waits for nobody.
func joinElsewhere(t *pairing.Target) func(context.Context, string) error {
	return joinBy(t.Settings, func(ctx context.Context, client settings.Client) error {
		_, err := t.Join(ctx, pairing.Joining{Client: client})
		return err
	})
}

// joinBy joins the client of a name. Nil where nobody shall be joined.
func joinBy(s settings.Settings, join func(context.Context, settings.Client) error) func(context.Context, string) error {
	if s.BridgeJoin == "" {
		return nil
	}
	return func(ctx context.Context, name string) error {
		client, err := joinedClient(s, name)
		if err != nil {
			return err
		}
		return joinFailed(join(ctx, client))
	}
}

// joinedClient is what the settings say of this client, else one with the scopes
// that every joined client gets.
func joinedClient(s settings.Settings, name string) (settings.Client, error) {
	i := slices.IndexFunc(s.Clients, func(c settings.Client) bool { return c.Name == name })
	switch {
	case i < 0:
		return pairing.ClientNamed(name + ":" + s.BridgeJoin)
	case s.Clients[i].PublicKey != "":
		return settings.Client{}, &bridge.JoinError{Err: errors.New("this client keeps its key to itself, so the bridge cannot sign for it")}
	}
	return s.Clients[i], nil
}

// joinFailed is an error with the command that a person has to type.
func joinFailed(err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(*bridge.JoinError)) {
		return err // it has one
	}
	failed := &bridge.JoinError{Command: pairing.HintOf(err), Err: err}
	if refused := (*pairing.RefusedError)(nil); errors.As(err, &refused) && refused.Verdict.RequestID != "" {
		// One command, for a close reason has little room.
		failed.Command, failed.Pending = "bootstrap approve "+refused.Verdict.RequestID, true
	}
	return failed
}
