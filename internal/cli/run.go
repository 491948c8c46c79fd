package cli

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/hooks"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
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

// run is the whole flow: settings, vacant?, identity, seed, hooks, launch, prove,
// ready, hooks, serve.
func (a *app) run(c *cli.Context) error {
	ctx := c.Context
	beside := a.takeBeside()
	s, err := a.load(c)
	if err != nil {
		return err
	}
	argv := c.Args().Slice()
	if beside != "" {
		return a.proveBeside(ctx, s, argv, beside)
	}
	if len(argv) == 0 {
		return &usageError{err: errors.New("there is no gateway command"), hint: "bootstrap run -- " + exampleGateway}
	}
	imported, err := a.importedIdentity(s)
	if err != nil {
		return err
	}
	bridgeToken, err := bridgeToken(s) // root may read it, and whom we become may not
	if err != nil {
		return err
	}
	t, err := a.settle(s, argv, true)
	if err != nil {
		return err
	}
	if _, err := launch.Find(argv[0], t.Environ()); err != nil {
		return err
	}
	a.warnAbout(t)
	found, err := a.findHooks(t)
	if err != nil {
		return err
	}
	stays := supervised(s) || len(found.Proven) > 0
	var ready *readiness
	if stays {
		if ready, err = a.newReadiness(ctx, t); err != nil {
			return err
		}
	}

	seeded, err := t.PairVacant(ctx, imported)
	if stopped := a.stopping.handOver(); stopped != nil {
		return stopped
	}
	signals := a.stopping.signals
	switch {
	case err == nil:
	case t.Command.Understood && stays && errors.As(err, new(*seed.SchemaError)):
		a.log.Warn().Err(err).Msg("the database is left alone; pairing over loopback as soon as the gateway answers")
		seeded.Later = true
	case t.Command.Understood:
		return err
	default:
		// A shell in the image must work whatever state the volume is in.
		a.log.Warn().Err(err).Msg("nothing is seeded; the command, which is no gateway's, is started all the same")
	}
	if seeded.GatewayToken != "" {
		t.Variables["OPENCLAW_GATEWAY_TOKEN"] = seeded.GatewayToken
		t.Auth.Secret = gateway.NewSecret(seeded.GatewayToken)
	}
	if stays {
		return a.supervise(ctx, t, seeded, ready, bridgeToken, found, signals)
	}
	if err := a.preStart(ctx, t, found.PreStart, signals); err != nil {
		return err
	}
	return a.exec(t, seeded, signals)
}

// restGCPercent is how much garbage there may be before it is collected, of what is
// in use. What stays beside a gateway for months does little, and its garbage of the
// first minute would be most of its memory. A bridge has work, and keeps the usual 100.
const restGCPercent = 40

// supervise starts the gateway as a child, proves the pairing and serves the
// bridge while it runs, and ends as it ends.
func (a *app) supervise(ctx context.Context, t *pairing.Target, seeded pairing.Paired, ready *readiness, bridgeToken string, found hooks.Set, signals *launch.Signals) error {
	if err := ready.begin(); err != nil {
		return err
	}
	t.StartsGateway()
	if len(t.Settings.Bridge) == 0 {
		debug.SetGCPercent(restGCPercent)
	}
	bridge, err := a.bridgeBeside(t, bridgeToken)
	if err != nil {
		return err
	}
	defer bridge.close()
	health, err := a.listenHealth(t.Settings, ready, bridge)
	if err != nil {
		return err
	}
	defer health.close()
	if err := keptFree(t, bridge, health); err != nil {
		return err
	}
	if err := a.preStart(ctx, t, found.PreStart, signals); err != nil {
		return err
	}
	process, err := launch.Start(launch.Options{
		Command: t.Argv[0], Argv: t.Argv, Env: t.Environ(),
		RestartSignal: t.Release.RestartSignal(), StopTimeout: t.Settings.StopTimeout, Signals: signals,
	})
	if err != nil {
		return err
	}
	t.Listener.Started(process.Pid())
	a.log.Info().Str("handover", "supervise").Str("release", t.Release.String()).
		Int("pid", process.Pid()).Msg("starting " + t.What())
	bridge.serve(a)

	ctx, cancel := context.WithCancel(ctx)
	proven := make(chan Code, 1)
	after := &provenHooks{app: a, t: t, list: found.Proven, process: process}
	prover := prover{app: a, t: t, ready: ready, process: process, seeded: seeded, hooks: after}
	go func() { proven <- prover.start(ctx) }()
	result := process.Run()
	cancel()
	failed := <-proven
	if code := after.wait(); failed == OK {
		failed = code
	}
	bridge.drain()
	if err := ready.forget(); err != nil {
		a.log.Warn().Err(err).Msg("the gateway has ended, and the ready file says otherwise")
	}
	return a.ended(t, result, failed)
}
