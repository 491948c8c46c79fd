package entrypoint

import (
	"errors"
	"fmt"
	"strconv"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// exec leaves nothing of us behind, and the proof to "bootstrap probe". Where the
// gateway will make its database first, a helper pairs in it and then ends: beside
// starts it.
func (e *Entrypoint) exec(seeded pairing.Paired, signals *launch.Signals, beside func(environ []string) error) error {
	if signal, stopped := signals.Stopped(); stopped {
		return &launch.StoppedError{Signal: signal}
	}
	if first := (&prover{Entrypoint: e, seeded: seeded}); first.undecided() {
		if err := beside(e.Environ()); err != nil {
			e.Log.Warn().Err(err).Str("hint", "once it answers: "+e.OwnCommand("seed")).Msg("nobody pairs in the database that the gateway will make")
		}
	}
	e.Log.Info().Str("handover", "exec").Str("release", e.Release.String()).
		Str("prove", "bootstrap probe --wait 120s").Msg("starting " + e.What())
	e.Flush()
	// Not before: as PID 1 a signal would then end this with Go's own code, 2.
	signals.Release()
	if signal, stopped := signals.Stopped(); stopped {
		return &launch.StoppedError{Signal: signal}
	}
	return launch.Exec(e.Argv[0], e.Argv, e.Environ())
}

// keepFree refuses to listen where the gateway is about to: the bridge would call
// itself, and the gateway end because its port is taken.
func (e *Entrypoint) keepFree(bridge *openedBridge, health *healthServer) error {
	taken := func(flag, address string) error {
		if !e.Command.Understood || !e.Listen.Takes(address) {
			return nil
		}
		return pairing.Usage(fmt.Errorf("%s: %s is where the gateway itself will listen", flag, address), "choose another port than "+strconv.Itoa(e.Listen.Port))
	}
	var wrong []error
	if bridge != nil {
		for _, l := range bridge.listeners {
			wrong = append(wrong, taken("--bridge (BOOTSTRAP_BRIDGE)", l.Address()))
		}
	}
	if health != nil {
		wrong = append(wrong, taken("--health-listen (BOOTSTRAP_HEALTH_LISTEN)", health.address))
	}
	return errors.Join(wrong...)
}

// Ended says that the gateway has ended, or was stopped, and there is nothing more
// to say.
type Ended struct{ Code int }

func (e *Ended) Error() string { return "exit" }

// ExitCode is the gateway's own, unless --remap-exit says otherwise, or that of what
// it was stopped for.
func (e *Ended) ExitCode() int { return e.Code }

// ended says who ended, and with what.
func (e *Entrypoint) ended(result launch.Result, failed error) error {
	code, source := e.Settings.RemapExit.Of(result.Code), "gateway"
	if failed != nil {
		code, source = e.ExitCode(failed), "bootstrap"
	}
	if result.Killed {
		e.Log.Warn().Msg("the gateway was killed, because --stop-timeout had passed: its owner lease may keep the next one waiting")
	}
	if result.Code == unusableState && e.Command.Understood {
		e.Log.Error().Str("hint", "read the gateway's own lines above, then: bootstrap status").
			Msg("exit 78: the gateway says that its state or configuration is unusable; starting it again will not help, unless its lines speak of a lock, a lease or a heartbeat")
	}
	e.Log.Info().Str("source", source).Int("code", code).Int("gateway_code", result.Code).
		Int("orphans_reaped", result.Orphans).Msg("exit")
	return &Ended{Code: code}
}

// unusableState is what the gateway ends with when a restart cannot help
// (EX_CONFIG): unreadable state, a migration that was refused, no auth. 2026.9.6
// also ends its first boot with it when the machine is too busy for its own lease:
// "state lease heartbeat did not become ready", or "database is locked".
const unusableState = 78
