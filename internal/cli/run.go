package cli

import (
	"context"
	"errors"
	"runtime/debug"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/hooks"
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
	p, err := a.settle(s, argv, true)
	if err != nil {
		return err
	}
	if _, err := launch.Find(argv[0], p.environ()); err != nil {
		return err
	}
	a.warnAbout(p)
	found, err := a.findHooks(s, p)
	if err != nil {
		return err
	}
	stays := supervised(s) || len(found.Proven) > 0
	var ready *readiness
	if stays {
		if ready, err = a.newReadiness(ctx, s, p); err != nil {
			return err
		}
	}

	seeded, err := a.prepare(ctx, s, p, imported)
	if stopped := a.stopping.handOver(); stopped != nil {
		return stopped
	}
	signals := a.stopping.signals
	switch {
	case err == nil:
	case p.Command.Understood && stays && errors.As(err, new(*seed.SchemaError)):
		a.log.Warn().Err(err).Msg("the database is left alone; pairing over loopback as soon as the gateway answers")
		seeded.later = true
	case p.Command.Understood:
		return err
	default:
		// A shell in the image must work whatever state the volume is in.
		a.log.Warn().Err(err).Msg("nothing is seeded; the command, which is no gateway's, is started all the same")
	}
	if seeded.gatewayToken != "" {
		p.variables["OPENCLAW_GATEWAY_TOKEN"] = seeded.gatewayToken
		p.Auth.Secret = gateway.NewSecret(seeded.gatewayToken)
	}
	if stays {
		return a.supervise(ctx, s, p, seeded, ready, bridgeToken, found, signals)
	}
	if err := a.preStart(ctx, s, p, found.PreStart, signals); err != nil {
		return err
	}
	return a.exec(p, seeded, signals)
}

// prepare is what happens before anything is started: nobody serves here, there
// is an identity, and the devices are paired.
func (a *app) prepare(ctx context.Context, s settings.Settings, p place, imported identity.Identity) (seeded pairing, err error) {
	// A volume that is read-only may be paired all the same; that shows later.
	if p.unready != nil && !errors.Is(p.unready, syscall.EROFS) {
		return seeded, p.unready
	}
	return a.pairWhenVacant(ctx, s, p, imported)
}

// restGCPercent is how much garbage there may be before it is collected, of what is
// in use. What stays beside a gateway for months does little, and its garbage of the
// first minute would be most of its memory. A bridge has work, and keeps the usual 100.
const restGCPercent = 40

// supervise starts the gateway as a child, proves the pairing and serves the
// bridge while it runs, and ends as it ends.
func (a *app) supervise(ctx context.Context, s settings.Settings, p place, seeded pairing, ready *readiness, bridgeToken string, found hooks.Set, signals *launch.Signals) error {
	if err := ready.begin(); err != nil {
		return err
	}
	p.listener = &ownListener{port: p.Listen.Port}
	if len(s.Bridge) == 0 {
		debug.SetGCPercent(restGCPercent)
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
	if err := a.preStart(ctx, s, p, found.PreStart, signals); err != nil {
		return err
	}
	process, err := launch.Start(launch.Options{
		Command: p.argv[0], Argv: p.argv, Env: p.environ(),
		RestartSignal: p.Release.RestartSignal(), StopTimeout: s.StopTimeout, Signals: signals,
	})
	if err != nil {
		return err
	}
	p.listener.started(process.Pid())
	a.log.Info().Str("handover", "supervise").Str("release", p.Release.String()).
		Int("pid", process.Pid()).Msg("starting " + p.what())
	bridge.serve(a)

	ctx, cancel := context.WithCancel(ctx)
	proven := make(chan Code, 1)
	after := &provenHooks{app: a, s: s, p: p, list: found.Proven, process: process}
	prover := prover{app: a, s: s, p: p, ready: ready, process: process, seeded: seeded, hooks: after}
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
	return a.ended(p, result, failed)
}
