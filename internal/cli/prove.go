package cli

import (
	"context"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// prove shows, by a handshake with the device token alone, that the gateway
// that was just started knows our device. It returns OK unless a failure shall
// end the gateway: then it has asked it to stop.
func (a *app) prove(ctx context.Context, s settings.Settings, p place, seeded pairing, ready *readiness, process *launch.Process) Code {
	// The flow is over, its garbage too: what stays is an init.
	defer debug.FreeOSMemory()
	started := time.Now()
	var verdict probe.Verdict
	switch {
	case seeded.later:
		verdict = a.pairLater(ctx, s, p)
	case seeded.self.IsZero():
		return OK
	default:
		options := proof(s, p, seeded.self, seeded.own().Token, seeded.devices[0].Scopes)
		options.Wait, options.Progress, options.Command = s.ProveTimeout, a.progress(), a.command
		verdict = probe.Run(ctx, options)
	}
	if err := ready.prove(verdict); err != nil {
		a.log.Warn().Err(err).Msg("the ready file does not say what was proven")
	}
	switch {
	case verdict.OK:
		a.afterImport(ctx, s, p, seeded)
		a.log.Info().Str("device", shortID(verdict.DeviceID)).Str("gateway", verdict.Server).
			Str("took", time.Since(started).Round(10*time.Millisecond).String()).Msg("ready: the pairing is proven")
		return OK
	case ctx.Err() != nil:
		return OK // the gateway has ended first
	case !p.Command.Understood && verdict.Outcome == probe.Unreachable:
		// A shell, or a job, has no gateway to prove anything to.
		a.log.Debug().Str("outcome", verdict.Outcome.String()).Msg(verdict.Message)
		return OK
	}
	a.warnVerdict(verdict)
	if !s.RequirePaired {
		return OK
	}
	a.log.Error().Msg("stopping the gateway, because --require-paired is set")
	process.Stop(syscall.SIGTERM)
	return verdictCode(verdict.Outcome)
}

// afterImport brings the store into which a first boot has taken the files up to
// date: 2026.8.2 imports the pairing and leaves the CLI without its token. A
// failure costs the CLI in this folder its token until the next start.
func (a *app) afterImport(ctx context.Context, s settings.Settings, p place, seeded pairing) {
	if seeded.later || seeded.store.Kind != seed.JSON {
		return
	}
	err := a.inSession(ctx, s, p, true, func(session *seed.Session) error {
		if session.Store().Kind == seed.JSON {
			return nil
		}
		_, err := session.Pair(ctx, seeded.devices...)
		return err
	})
	if err != nil && ctx.Err() == nil {
		a.log.Warn().Err(err).Msg("the CLI in this state folder has no device token until the next start")
	}
}

func (a *app) warnVerdict(verdict probe.Verdict) {
	event := a.log.Warn().Str("outcome", verdict.Outcome.String()).Int("would_exit", int(verdictCode(verdict.Outcome)))
	if verdict.RequestID != "" {
		event = event.Str("requestId", verdict.RequestID)
	}
	if len(verdict.Hints) > 0 {
		event = event.Str("hint", verdict.Hints[0])
	}
	event.Msg("the pairing is NOT proven: " + verdict.Message)
}

// bootProgress is how often a person hears that the gateway still boots.
const bootProgress = 10 * time.Second

// progress logs now and then why the proof has to wait.
func (a *app) progress() func(probe.Waiting) {
	next := bootProgress
	return func(w probe.Waiting) {
		if w.Elapsed < next {
			return
		}
		next = w.Elapsed + bootProgress
		a.log.Info().Str("elapsed", w.Elapsed.Round(time.Second).String()).
			Str("remaining", w.Remaining.Round(time.Second).String()).Msg("waiting for the gateway: " + w.Reason)
	}
}

func tlsOptions(s settings.Settings) protocol.TLSOptions {
	return protocol.TLSOptions{CAFile: s.CAFile, PinnedFingerprint: string(s.Fingerprint)}
}
