package cli

import (
	"context"
	"errors"
	"os"
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
		Description:  "For the ENTRYPOINT of an image, for example:\n\n  bootstrap run -- openclaw gateway --bind lan --port 18789",
		Flags:        flags("run"),
		OnUsageError: onUsageError,
		Action:       a.run,
	}
}

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
		return &usageError{err: errors.New("there is no gateway command"), hint: "bootstrap run -- openclaw gateway --port 18789"}
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
		return a.supervise(ctx, s, p, seeded, bridgeToken, signals)
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

// supervised decides who stays: what replaces tini as PID 1 has to reap and
// to forward, and only who stays can stop a gateway that proves nothing.
func supervised(s settings.Settings) bool {
	switch s.Handover {
	case settings.Supervise:
		return true
	case settings.Exec:
		return false
	}
	return os.Getpid() == 1 || s.RequirePaired || s.HealthListen != "" || len(s.Approve) > 0 || len(s.Bridge) > 0 || s.ReadyFile != "" && s.ReadyFile != "off"
}

// exec leaves nothing of us behind; the proof is left to "bootstrap probe".
func (a *app) exec(p place, signals *launch.Signals) error {
	signals.Release()
	if signal, stopped := signals.Stopped(); stopped {
		return &launch.StoppedError{Signal: signal}
	}
	a.log.Info().Str("handover", "exec").Str("release", p.Release.String()).
		Str("prove", "bootstrap probe --wait 120s").Msg("starting " + p.what())
	return launch.Exec(p.argv[0], p.argv, p.environ())
}

// warnAbout tells what a gateway would refuse or read otherwise than expected.
func (a *app) warnAbout(p place) {
	for _, wrong := range settingFindings(a.now(), p) {
		event := a.log.Warn()
		if wrong.Mend != "" {
			event = event.Str("hint", wrong.Mend)
		}
		event.Msg(wrong.What)
	}
}
