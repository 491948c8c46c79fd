package cli

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

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

// exec leaves nothing of us behind, and the proof to "bootstrap probe". Where the
// gateway will make its database first, a helper pairs in it and then ends.
func (a *app) exec(t *pairing.Target, seeded pairing.Paired, signals *launch.Signals) error {
	signals.Release()
	if signal, stopped := signals.Stopped(); stopped {
		return &launch.StoppedError{Signal: signal}
	}
	if first := (&prover{t: t, seeded: seeded}); first.undecided() {
		if err := startBeside(t.Environ()); err != nil {
			a.log.Warn().Err(err).Str("hint", "once it answers: "+a.command("seed")).Msg("nobody pairs in the database that the gateway will make")
		}
	}
	a.log.Info().Str("handover", "exec").Str("release", t.Release.String()).
		Str("prove", "bootstrap probe --wait 120s").Msg("starting " + t.What())
	a.stderr.flush()
	return launch.Exec(t.Argv[0], t.Argv, t.Environ())
}

// warnAbout tells what a gateway would refuse or read otherwise than expected.
func (a *app) warnAbout(t *pairing.Target) {
	for _, wrong := range append(settingFindings(a.now(), t), startFindings(t)...) {
		event := a.log.Warn()
		if wrong.Mend != "" {
			event = event.Str("hint", wrong.Mend)
		}
		event.Msg(wrong.What)
	}
}

// keptFree refuses to listen where the gateway is about to: the bridge would call
// itself, and the gateway end because its port is taken.
func keptFree(t *pairing.Target, bridge *openedBridge, health *healthServer) error {
	taken := func(flag, address string) error {
		if !t.Command.Understood || !t.Listen.Takes(address) {
			return nil
		}
		return &usageError{err: fmt.Errorf("%s: %s is where the gateway itself will listen", flag, address), hint: "choose another port than " + strconv.Itoa(t.Listen.Port)}
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

// startFindings are what this command would be refused for, whatever is in the
// folder: every release from 2026.1.29 to 2026.9.6 wants its mode said.
func startFindings(t *pairing.Target) []finding {
	if !t.Command.Understood || t.Command.Dev || t.Command.Profile == "dev" || t.Config.Mode == "local" || len(t.InDoubt) > 0 || slices.Contains(t.Argv, "--allow-unconfigured") {
		return nil
	}
	return []finding{{
		What: "openclaw.json has no gateway.mode=local, and without it gateways refuse to start",
		Mend: "add --allow-unconfigured to its command, or set the mode: openclaw config set gateway.mode local",
	}}
}

// ended says who ended, and with what.
func (a *app) ended(t *pairing.Target, result launch.Result, failed Code) error {
	code, source := Code(result.Code), "gateway"
	if failed != OK {
		code, source = failed, "bootstrap"
	}
	if result.Killed {
		a.log.Warn().Msg("the gateway was killed, because --stop-timeout had passed: its owner lease may keep the next one waiting")
	}
	if result.Code == unusableState && t.Command.Understood {
		a.log.Error().Str("hint", "read the gateway's own lines above, then: bootstrap status").
			Msg("exit 78: the gateway says that its state or configuration is unusable; starting it again will not help, unless its lines speak of a lease or a heartbeat")
	}
	a.log.Info().Str("source", source).Int("code", int(code)).Int("gateway_code", result.Code).
		Int("orphans_reaped", result.Orphans).Msg("exit")
	return &exitError{code: code}
}

// unusableState is what the gateway ends with when a restart cannot help
// (EX_CONFIG): unreadable state, a migration that was refused, no auth. 2026.9.6
// also ends its first boot with it when the machine is too busy for its own lease:
// "state lease heartbeat did not become ready".
const unusableState = 78
