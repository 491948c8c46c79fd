package cli

import (
	"context"
	"errors"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) runCommand() *cli.Command {
	return &cli.Command{
		Name:         "run",
		Usage:        "pair the operator, prove it, and hand over to the gateway",
		ArgsUsage:    "-- GATEWAY [ARGUMENT...]",
		Description:  "For the ENTRYPOINT of an image, for example:\n\n  bootstrap run -- openclaw gateway --bind lan --port 18789 --allow-unconfigured",
		Flags:        flags("run"),
		OnUsageError: onUsageError,
		Action:       a.run,
	}
}

// exampleGateway starts on an empty volume, too.
const exampleGateway = "openclaw gateway --port 18789 --allow-unconfigured"

// run is the whole flow: settings, vacant?, identity, seed, launch, prove,
// ready, serve.
func (a *app) run(c *cli.Context) error {
	ctx := c.Context
	s, err := a.load(c)
	if err != nil {
		return err
	}
	argv := c.Args().Slice()
	if len(argv) == 0 {
		return &usageError{err: errors.New("there is no gateway command"), hint: "bootstrap run -- " + exampleGateway}
	}
	// From here on a signal is kept until somebody can take it: PID 1 would
	// ignore it otherwise.
	signals := launch.Catch()
	imported, err := a.importedIdentity(s)
	if err != nil {
		return err
	}
	bridgeToken, err := bridgeToken(s) // root may read it, and whom we become may not
	if err != nil {
		return err
	}
	p, err := a.settle(s, argv, true)
	if err != nil {
		return err
	}
	if _, err := launch.Find(argv[0], p.environ()); err != nil {
		return err
	}
	a.warnAbout(p)
	var ready *readiness
	if supervised(s) {
		if ready, err = a.newReadiness(ctx, s, p); err != nil {
			return err
		}
	}

	seeded, err := a.prepare(ctx, s, p, imported, signals)
	switch {
	case err == nil:
	case p.Command.Understood && supervised(s) && errors.As(err, new(*seed.SchemaError)):
		a.log.Warn().Err(err).Msg("the database is left alone; pairing over loopback as soon as the gateway answers")
		seeded.later = true
	case p.Command.Understood, errors.As(err, new(*launch.StoppedError)):
		return err
	default:
		// A shell in the image must work whatever state the volume is in.
		a.log.Warn().Err(err).Msg("nothing is seeded; the command, which is no gateway's, is started all the same")
	}
	if seeded.gatewayToken != "" {
		p.variables["OPENCLAW_GATEWAY_TOKEN"] = seeded.gatewayToken
		p.Auth.Secret = gateway.NewSecret(seeded.gatewayToken)
	}
	if supervised(s) {
		return a.supervise(ctx, s, p, seeded, ready, bridgeToken, signals)
	}
	return a.exec(p, signals)
}

// prepare is what happens before anything is started: nobody serves here, there
// is an identity, and the devices are paired. A terminating signal ends it.
func (a *app) prepare(ctx context.Context, s settings.Settings, p place, imported identity.Identity, signals *launch.Signals) (seeded pairing, err error) {
	// A volume that is read-only may be paired all the same; that shows later.
	if p.unready != nil && !errors.Is(p.unready, syscall.EROFS) {
		return seeded, p.unready
	}
	ctx, done := signals.Context(ctx)
	seeded, err = a.pairWhenVacant(ctx, s, p, imported)
	if stopped := done(); stopped != nil {
		return seeded, stopped
	}
	return seeded, err
}

// supervise starts the gateway as a child, proves the pairing and serves the
// bridge while it runs, and ends as it ends.
func (a *app) supervise(ctx context.Context, s settings.Settings, p place, seeded pairing, ready *readiness, bridgeToken string, signals *launch.Signals) error {
	if err := ready.begin(); err != nil {
		return err
	}
	bridge, err := a.bridgeBeside(s, p, bridgeToken)
	if err != nil {
		return err
	}
	defer bridge.close()
	health, err := a.listenHealth(s, ready, bridge)
	if err != nil {
		return err
	}
	defer health.close()
	if err := keptFree(p, bridge, health); err != nil {
		return err
	}
	process, err := launch.Start(launch.Options{
		Command: p.argv[0], Argv: p.argv, Env: p.environ(),
		RestartSignal: p.Release.RestartSignal(), StopTimeout: s.StopTimeout, Signals: signals,
	})
	if err != nil {
		return err
	}
	a.log.Info().Str("handover", "supervise").Str("release", p.Release.String()).
		Int("pid", process.Pid()).Msg("starting " + p.what())
	bridge.serve(a)

	ctx, cancel := context.WithCancel(ctx)
	proven := make(chan Code, 1)
	go func() { proven <- a.keepProving(ctx, s, p, seeded, ready, process) }()
	result := process.Run()
	cancel()
	failed := <-proven
	bridge.drain()
	if err := ready.forget(); err != nil {
		a.log.Warn().Err(err).Msg("the gateway has ended, and the ready file says otherwise")
	}
	return a.ended(p, result, failed)
}
