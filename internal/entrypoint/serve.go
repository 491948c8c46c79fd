// Package entrypoint owns the second half of "run": the gateway by exec or as a
// child, pairing in the store that its boot makes, the proof, the ready file and
// health, hooks, and the bridge and the approval beside the gateway. It logs to the
// logger of its target; what ends it is an error, and cli makes the exit code.
package entrypoint

import (
	"context"
	"errors"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/health"
	"github.com/reflectt/bootstrap/internal/hooks"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// Entrypoint is a gateway that is about to be started.
type Entrypoint struct {
	*pairing.Target
	// BridgeToken is what clients of the bridge have to show; empty where nothing.
	BridgeToken string
	// ExitCode is what an error ends with.
	ExitCode func(error) int
	// Flush writes what the log still holds, before an exec.
	Flush func()

	hooks hooks.Set
	// ready is nil where nobody stays beside the gateway.
	ready *readiness
	// systemd is nil where it does not wait to hear of us.
	systemd *health.Systemd
	// counted and orphans are for /metrics.
	counted tally
	orphans atomic.Int64
}

// Prepare finds the hooks, decides who stays, and takes away what says that an
// earlier start is ready.
func (e *Entrypoint) Prepare(ctx context.Context) (err error) {
	if e.hooks, err = e.findHooks(); err != nil {
		return err
	}
	if supervises(e.Settings) || len(e.hooks.Proven) > 0 {
		e.ready, err = e.newReadiness(ctx)
	}
	if err == nil {
		e.notifySystemd()
	}
	return err
}

// supervises decides whether bootstrap stays: what replaces tini as PID 1 has to reap and to forward,
// and only who stays can stop a gateway that proves nothing.
func supervises(s settings.Settings) bool {
	switch s.Handover {
	case settings.Supervise:
		return true
	case settings.Exec:
		return false
	}
	return os.Getpid() == 1 || !isReadable(s.Manifest) || s.RequirePaired || s.HealthListen != "" || s.NotifySocket != "" || len(s.Approve) > 0 || len(s.Bridge) > 0 ||
		s.StopTimeout != 0 || len(s.RemapExit) > 0 || s.ReadyFile != "" && s.ReadyFile != "off"
}

// isReadable is false for a manifest that root alone could read: the helper of an exec
// handover could not read it once more.
func isReadable(manifest string) bool {
	return manifest == "" || unix.Access(manifest, unix.R_OK) == nil
}

// Serve starts the gateway, after what [pairing.Target.PairVacant] returned, and
// ends as it ends.
func (e *Entrypoint) Serve(ctx context.Context, paired pairing.Paired, failed error, signals *launch.Signals) error {
	switch {
	case failed == nil:
	case e.Command.Understood && e.ready != nil && errors.As(failed, new(*seed.SchemaError)):
		e.Log.Warn().Err(failed).Msg("the database is left alone; pairing over loopback as soon as the gateway answers")
		paired.Deferred = true
	case e.Command.Understood:
		return failed
	default:
		// A shell in the image must work whatever state the volume is in.
		e.Log.Warn().Err(failed).Msg("nothing is seeded; the command, which is no gateway's, is started all the same")
	}
	if paired.GatewayToken != "" {
		e.Variables["OPENCLAW_GATEWAY_TOKEN"] = paired.GatewayToken
		e.Auth.Secret = gateway.NewSecret(paired.GatewayToken)
	}
	if e.ready != nil {
		return e.supervise(ctx, paired, signals)
	}
	if err := e.preStart(ctx, signals); err != nil {
		return err
	}
	e.lookAgain(nil)
	return e.exec(paired, signals, startBeside)
}

// restGCPercent is how much garbage there may be before it is collected, of what is
// in use. What stays beside a gateway for months does little, and its garbage of the
// first minute would be most of its memory. A bridge has work, and keeps the usual 100.
const restGCPercent = 40

// supervise starts the gateway as a child, proves the pairing and serves the
// bridge while it runs, and ends as it ends.
func (e *Entrypoint) supervise(ctx context.Context, paired pairing.Paired, signals *launch.Signals) error {
	defer e.systemd.Close(lastWord)
	if err := e.ready.begin(); err != nil {
		return err
	}
	e.counted.pairedIs(hasEntry(paired))
	e.StartsGateway()
	if len(e.Settings.Bridge) == 0 {
		debug.SetGCPercent(restGCPercent)
	}
	bridge, err := e.bridgeBeside(ctx)
	if err != nil {
		return err
	}
	defer bridge.close()
	answers, err := e.listenHealth(bridge)
	if err != nil {
		return err
	}
	defer answers.close()
	if err := e.keepFree(bridge, answers); err != nil {
		return err
	}
	if err := e.preStart(ctx, signals); err != nil {
		return err
	}
	if e.Settings.ReadyFile != "" && e.Command.Understood {
		if err := e.ready.check(); err != nil {
			return err
		}
	}
	e.lookAgain(bridge)
	process, err := launch.Start(launch.Options{
		Command: e.Argv[0], Argv: e.Argv, Env: e.Environ(),
		RestartSignal: e.Release.RestartSignal(), StopTimeout: e.Settings.StopTimeout, Signals: signals, Orphans: &e.orphans,
	})
	if err != nil {
		return err
	}
	e.Listener.Started(process.Pid())
	e.Log.Info().Str("handover", "supervise").Str("release", e.Release.String()).
		Int("pid", process.Pid()).Msg("starting " + e.What())
	bridge.serve(e.Log)

	ctx, cancel := context.WithCancel(ctx)
	proven := make(chan error, 1)
	after := &provenHooks{Entrypoint: e, process: process}
	prover := prover{Entrypoint: e, process: process, seeded: paired, hooks: after}
	go func() { proven <- prover.start(ctx) }()
	var telling sync.WaitGroup
	telling.Go(func() { e.tellSystemd(ctx, process.Asked(), bridge) })
	result := process.Run()
	cancel()
	telling.Wait()
	e.systemd.Stopping()
	failed := <-proven
	if err := after.wait(); failed == nil {
		failed = err
	}
	bridge.drain()
	if err := e.ready.forget(); err != nil {
		e.Log.Warn().Err(err).Msg("the gateway has ended, and the ready file says otherwise")
	}
	return e.ended(result, failed)
}
