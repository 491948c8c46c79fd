package cli

import (
	"os"

	"github.com/reflectt/bootstrap/internal/launch"
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

// ended says who ended, and with what.
func (a *app) ended(p place, result launch.Result, failed Code) error {
	code, source := Code(result.Code), "gateway"
	if failed != OK {
		code, source = failed, "bootstrap"
	}
	if result.Killed {
		a.log.Warn().Msg("the gateway was killed, because --stop-timeout had passed: its owner lease may keep the next one waiting")
	}
	if result.Code == unusableState && p.Command.Understood {
		a.log.Error().Str("hint", "read the gateway's own lines above, then: bootstrap status").
			Msg("exit 78: the gateway says that its state or configuration is unusable; starting it again will not help")
	}
	a.log.Info().Str("source", source).Int("code", int(code)).Int("gateway_code", result.Code).
		Int("orphans_reaped", result.Orphans).Msg("exit")
	return &exitError{code: code}
}

// unusableState is what the gateway ends with when a restart cannot help
// (EX_CONFIG): unreadable state, a migration that was refused, no auth.
const unusableState = 78
