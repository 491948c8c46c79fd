package entrypoint

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/settings"
)

// asksItself refuses a bridge whose gateway is one of its own listeners: each
// client would make it connect to itself, without end. told is what --gateway-url
// names: the bridge's gateway, but under run, where the bridge serves the gateway
// that is started here and the proof goes to that URL.
func (b *openedBridge) asksItself(flag string, s settings.Settings, serves, told string) error {
	for _, l := range b.listeners {
		switch {
		case (s.GatewayURL == "" || serves != told) && leadsBack(serves, l.Addr()):
			return pairing.Usage(fmt.Errorf("%s (BOOTSTRAP_BRIDGE): %s is where the gateway is expected to listen", flag, l.Address()),
				"choose another port for the bridge; OPENCLAW_GATEWAY_PORT names the gateway's where its command does not show it")
		case leadsBack(told, l.Addr()):
			return pairing.Usage(fmt.Errorf("--gateway-url (OPENCLAW_GATEWAY_URL): %s is where this bridge itself listens", protocol.DisplayURL(told)),
				"--gateway-url with the gateway's own address: the URL in a client's env may be a bridge's")
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
func openBridge(flag string, t *pairing.Target, options bridge.Options) (*openedBridge, error) {
	options.TLS, options.BundleDir = t.Trust(), t.BundlesDir()
	options.RemoteAsLocal = t.Settings.BridgeRemoteAsLocal
	options.OwnTokens, options.Hosts, options.Notify = t.Settings.BridgeTokens, t.Settings.BridgeHosts, (&bridgeLog{log: t.Log}).tell
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
	if err := out.asksItself(flag, t.Settings, options.GatewayURL, t.URL); err != nil {
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
	b, err := openBridge(flag, t, bridge.Options{GatewayURL: t.URL, Token: token, Join: joinElsewhere(t)})
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
