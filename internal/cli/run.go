package cli

import (
	"errors"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/entrypoint"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:        "run",
		Usage:       "pair the operator, prove it, and hand over to the gateway",
		ArgsUsage:   "-- GATEWAY [ARGUMENT...]",
		Description: "For the ENTRYPOINT of an image, for example:\n\n  bootstrap run -- openclaw gateway --bind lan --port 18789 --allow-unconfigured",
		Flags:       flags("run"),
		Action:      a.run,
	}
}

// run is the whole flow: settings, vacant?, identity, seed, hooks, launch, prove,
// ready, hooks, serve.
func (a *app) run(c *cli.Context) error {
	ctx := c.Context
	beside, environ := entrypoint.TakeBeside(a.environ)
	a.environ, a.helps = environ, beside != ""
	s, err := a.load(c)
	if err != nil {
		return err
	}
	argv := c.Args().Slice()
	if beside != "" {
		return beside.Prove(ctx, environ, func() (*entrypoint.Entrypoint, error) { return a.entrypoint(s, argv, false) })
	}
	if len(argv) == 0 {
		return pairing.Usage(errors.New("there is no gateway command"), "bootstrap run -- "+pairing.ExampleGateway)
	}
	imported, err := a.importedIdentity(ctx, s)
	if err != nil {
		return err
	}
	bridgeToken, err := bridgeToken(s) // before dropping root: the target user may not read it
	if err != nil {
		return err
	}
	e, err := a.entrypoint(s, argv, true)
	if err != nil {
		return err
	}
	if _, err := launch.Find(argv[0], e.Environ()); err != nil {
		return err
	}
	a.warnAbout(e.Target)
	e.BridgeToken = bridgeToken
	if err := e.Prepare(ctx); err != nil {
		return err
	}
	paired, failed := e.PairVacant(ctx, imported)
	if stopped := a.stopping.handOver(); stopped != nil {
		return stopped
	}
	return e.Serve(ctx, paired, failed, a.stopping.signals)
}

// entrypoint settles where the gateway is started.
func (a *app) entrypoint(s settings.Settings, argv []string, prepare bool) (*entrypoint.Entrypoint, error) {
	t, err := a.settle(s, argv, prepare)
	return &entrypoint.Entrypoint{
		Target: t, Flush: a.stderr.flush, ExitCode: func(err error) int { return int(codeOf(err)) },
	}, err
}
