package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) bridgeCommand() *cli.Command {
	return &cli.Command{
		Name:  "bridge",
		Usage: "let clients in that cannot sign, each as the device of its bundle",
		Description: "A client's URL names its bundle. For example:\n\n" +
			"  bootstrap bridge --listen 127.0.0.1:18790   # clients: ws://127.0.0.1:18790/NAME\n" +
			"  bootstrap bridge --listen unix:/tmp/agent-1.sock --gateway-url ws://gateway:18789",
		Flags: flags("bridge",
			// Not among the settings: for run the same variable is called --bridge.
			&cli.StringSliceFlag{Name: "listen", Usage: "`ADDR`: where clients connect: HOST:PORT, a PORT of this machine, or unix:PATH for the one client that the file is named after; repeatable [$BOOTSTRAP_BRIDGE]"},
		),
		OnUsageError: onUsageError,
		Action:       noArguments(a.bridge),
	}
}

// bridge serves until it is told to stop.
func (a *app) bridge(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	if c.IsSet("listen") {
		s.Bridge = c.StringSlice("listen")
	}
	if len(s.Bridge) == 0 {
		return &usageError{err: errors.New("there is no address to listen on"), hint: "bootstrap bridge --listen 127.0.0.1:18790"}
	}
	token, err := bridgeToken(s) // root may read it, and whom we become may not
	if err != nil {
		return err
	}
	t, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	b, err := a.openBridge("--listen", t, bridge.Options{GatewayURL: t.URL, Token: token, Join: joinElsewhere(t)})
	if err != nil {
		return err
	}
	return b.bridge.Serve(c.Context, b.listeners...)
}

// asksItself refuses a bridge whose gateway is one of its own listeners: each
// client would make it connect to itself, without end. told is what --gateway-url
// names: the bridge's gateway, but under run, where the bridge serves the gateway
// that is started here and the proof goes to that URL.
func (b *openedBridge) asksItself(flag string, s settings.Settings, serves, told string) error {
	for _, l := range b.listeners {
		switch {
		case (s.GatewayURL == "" || serves != told) && leadsBack(serves, l.Addr()):
			return &usageError{
				err:  fmt.Errorf("%s (BOOTSTRAP_BRIDGE): %s is where the gateway is expected to listen", flag, l.Address()),
				hint: "choose another port for the bridge; OPENCLAW_GATEWAY_PORT names the gateway's where its command does not show it",
			}
		case leadsBack(told, l.Addr()):
			return &usageError{
				err:  fmt.Errorf("--gateway-url (OPENCLAW_GATEWAY_URL): %s is where this bridge itself listens", protocol.DisplayURL(told)),
				hint: "--gateway-url with the gateway's own address: the URL in a client's env may be a bridge's",
			}
		}
	}
	return nil
}

// leadsBack tells whether a gateway's URL is a listener's own address.
func leadsBack(gatewayURL string, listener net.Addr) bool {
	tcp, isTCP := listener.(*net.TCPAddr)
	u, err := url.Parse(gatewayURL)
	if !isTCP || err != nil || u.Port() != strconv.Itoa(tcp.Port) {
		return false
	}
	return slices.ContainsFunc(gateway.OnThisMachine(u.Host), func(own string) bool {
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
func (a *app) openBridge(flag string, t *pairing.Target, options bridge.Options) (*openedBridge, error) {
	options.TLS, options.BundleDir = t.Trust(), t.BundlesDir()
	options.RemoteAsLocal = t.Settings.BridgeRemoteAsLocal
	options.OwnTokens, options.Hosts, options.Notify = t.Settings.BridgeTokens, t.Settings.BridgeHosts, (&bridgeLog{app: a}).tell
	b, err := bridge.New(options)
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("the bridge cannot be set up: %w", err)}
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
			return nil, &usageError{err: fmt.Errorf("%s (BOOTSTRAP_BRIDGE): %w", flag, err), hint: hintOf(err)}
		}
	}
	if err := out.asksItself(flag, t.Settings, options.GatewayURL, t.URL); err != nil {
		out.close()
		return nil, err
	}
	for _, l := range out.listeners {
		a.log.Info().Str("address", l.Address()).Str("gateway", protocol.DisplayURL(options.GatewayURL)).Msg("bridge: listening")
	}
	return out, nil
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

// bridgeToken is what clients have to show; empty where no file is set.
func bridgeToken(s settings.Settings) (string, error) {
	if s.BridgeTokenFile == "" {
		return "", nil
	}
	token, err := readToken(s.BridgeTokenFile)
	if err == nil && !identity.IsToken(token) {
		err = fmt.Errorf("cannot use %s: a token has letters, digits and ._~+/=- alone; to make one: openssl rand -base64 32", s.BridgeTokenFile)
	}
	if err != nil {
		return "", &usageError{err: fmt.Errorf("--bridge-token-file (BOOTSTRAP_BRIDGE_TOKEN_FILE): %w", err)}
	}
	return token, nil
}
