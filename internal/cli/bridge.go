package cli

import (
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/entrypoint"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/pairing"
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
		Action: noArguments(a.bridge),
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
		return pairing.Usage(errors.New("there is no address to listen on"), "bootstrap bridge --listen 127.0.0.1:18790")
	}
	token, err := bridgeToken(s) // before dropping root: the target user may not read it
	if err != nil {
		return err
	}
	t, err := a.asking(s)
	if err != nil {
		return err
	}
	return entrypoint.ServeBridge(c.Context, t, "--listen", token)
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
		return "", pairing.Usage(fmt.Errorf("--bridge-token-file (BOOTSTRAP_BRIDGE_TOKEN_FILE): %w", err), "")
	}
	return token, nil
}
