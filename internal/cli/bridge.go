package cli

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) bridgeCommand() *cli.Command {
	return &cli.Command{
		Name:  "bridge",
		Usage: "let clients in that cannot sign, each as the device of its bundle",
		Description: "A client's URL names its bundle. For example:\n\n" +
			"  bootstrap bridge --listen 127.0.0.1:18790   (clients: ws://127.0.0.1:18790/NAME)\n" +
			"  bootstrap bridge --listen unix:/run/bridge/agent-1.sock --bundle-dir /data/clients --gateway-url ws://gateway:18789",
		Flags:        flags("bridge"),
		OnUsageError: onUsageError,
		Action:       noArguments(a.bridge),
	}
}

// bridge serves until it is told to stop.
func (a *app) bridge(c *cli.Context) error {
	ctx, stop := signal.NotifyContext(c.Context, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	s, err := a.load(c)
	if err != nil {
		return err
	}
	if len(s.Bridge) == 0 {
		return &usageError{err: errors.New("there is no address to listen on"), hint: "bootstrap bridge --listen 127.0.0.1:18790"}
	}
	token, err := bridgeToken(s) // root may read it, and whom we become may not
	if err != nil {
		return err
	}
	p, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	running, err := a.startBridge(ctx, s, p, token)
	if err != nil {
		return err
	}
	return <-running
}

// startBridge listens where the settings say and serves until the context ends;
// then the channel gives how it ended. The bundles are read for each client
// anew, so it may start before they are there.
func (a *app) startBridge(ctx context.Context, s settings.Settings, p place, token string) (<-chan error, error) {
	b, err := bridge.New(bridge.Options{
		GatewayURL: p.URL, TLS: tlsOptions(s), BundleDir: bundlesDir(s, p),
		Token: token, Hosts: s.BridgeHosts, Notify: a.bridgeEvent,
	})
	if err != nil {
		return nil, &usageError{err: fmt.Errorf("the bridge cannot be set up: %w", err)}
	}
	var listeners []*bridge.Listener
	closeAll := func() {
		for _, l := range listeners {
			_ = l.Close()
		}
	}
	for _, where := range s.Bridge {
		l, err := bridge.Listen(where)
		if err == nil {
			listeners = append(listeners, l)
			err = b.Allows(l)
		}
		if err != nil {
			closeAll()
			return nil, &usageError{err: fmt.Errorf("--listen (BOOTSTRAP_BRIDGE): %w", err), hint: hintOf(err)}
		}
		a.log.Info().Str("address", l.Address()).Str("gateway", p.URL).Msg("bridge: listening")
	}
	ended := make(chan error, 1)
	go func() { ended <- b.Serve(ctx, listeners...) }()
	return ended, nil
}

// bridgeToken is what clients have to show; empty where no file is set.
func bridgeToken(s settings.Settings) (string, error) {
	if s.BridgeTokenFile == "" {
		return "", nil
	}
	token, err := readSecret(s.BridgeTokenFile)
	if err == nil && token == "" {
		err = errors.New("it is empty")
	}
	if err != nil {
		return "", &usageError{err: fmt.Errorf("--bridge-token-file (BOOTSTRAP_BRIDGE_TOKEN_FILE): cannot read %s: %w", s.BridgeTokenFile, err)}
	}
	return token, nil
}

// bridgeEvent logs what happened to one client.
func (a *app) bridgeEvent(e bridge.Event) {
	event, message := a.log.Info(), "bridge: let in"
	switch e.Kind {
	case bridge.LetIn:
		if len(e.Dropped) > 0 {
			event = event.Str("dropped", brief(e.Dropped))
		}
		event = event.Str("scopes", brief(e.Scopes))
	case bridge.PassedOn:
		message = "bridge: passed on with its own device"
	case bridge.Ended:
		event, message = a.log.Debug(), "bridge: ended"
	default:
		event, message = a.log.Warn(), "bridge: "+string(e.Kind)
	}
	if e.Reason != "" {
		event = event.Str("reason", e.Reason)
	}
	if e.Hint != "" {
		event = event.Str("hint", e.Hint)
	}
	event.Str("client", e.Client).Str("from", e.Remote).Msg(message)
}
