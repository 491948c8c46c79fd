package entrypoint

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// startedGateway is the gateway that this process, or the one before it, started.
type startedGateway interface {
	// Stopping tells whether it was told to end.
	Stopping() bool
	// Asked is closed when it was.
	Asked() <-chan struct{}
	Stop(signal syscall.Signal)
}

// prover keeps the pairing true while the gateway runs: it pairs in the store that
// the boot has made, proves that by a handshake, and does both again when the
// gateway restarts or the store changes. It gives up only when the gateway ends.
type prover struct {
	*Entrypoint
	process startedGateway
	// once: end with the first proof; nothing stays beside the gateway.
	once bool
	// hooks run after the first proof; nil where nobody stays for them.
	hooks *provenHooks

	seeded pairing.Paired
	// socket is the gateway's listening socket when it was looked at last.
	socket string
	// provenSocket is the one that the last proof went to; empty where it cannot be seen.
	provenSocket string
	// end tells when that is gone; nil where it was not tried, or cannot be had.
	end      *gateway.ListenerEnd
	endTried bool
	// proven: the gateway has let our device in once.
	proven bool
	// warned is what was reported last, so that it is not reported again.
	warned  probe.Outcome
	watcher watching
}

const (
	// firstRetry and lastRetry bound the pauses between two proofs that fail. Ten
	// refusals in a minute lock an address out (2026.5.28).
	firstRetry = 10 * time.Second
	lastRetry  = time.Minute
)

// start is keep, unless nothing was seeded: then there is nothing to prove.
func (r *prover) start(ctx context.Context) error {
	if r.seeded.Store.Kind == "" && !r.seeded.Deferred {
		return nil
	}
	return r.keep(ctx)
}

// keep returns nil unless a failure shall end the gateway: then it has asked it to
// stop.
func (r *prover) keep(ctx context.Context) error {
	defer r.watcher.stop()
	defer func() {
		if r.end != nil {
			r.end.Close()
		}
	}()
	socketWhenTold := r.socketWhenTold(ctx)
	patience, retry := r.Settings.ProveTimeout, firstRetry
	var failed error
	for failed == nil && !r.process.Stopping() && ctx.Err() == nil {
		verdict := r.prove(ctx, patience)
		// Setup is done: return its memory before idling as init.
		debug.FreeOSMemory()
		if ctx.Err() != nil || r.process.Stopping() {
			break
		}
		if answered(verdict) {
			r.watcher.ensure(ctx, r.Target, r.counted.answered(r.Settings))
		}
		switch {
		case verdict.OK && r.once:
			return nil
		case verdict.OK:
			r.proven, retry, patience = true, firstRetry, r.Settings.ProveTimeout
			r.hooks.begin(ctx)
			r.whilePaired(ctx)
		case r.Settings.RequirePaired && !r.proven && !r.isNoGateway(verdict):
			r.Log.Error().Msg("stopping the gateway, because --require-paired is set")
			r.process.Stop(syscall.SIGTERM)
			failed = &pairing.RefusedError{Verdict: verdict}
		default:
			patience = 0 // the pauses are the waiting
			if r.restarted(ctx, "", retry) {
				patience = r.Settings.ProveTimeout
			}
			retry = min(2*retry, lastRetry)
		}
	}
	if !r.once {
		select {
		case <-ctx.Done():
		case r.socket = <-socketWhenTold:
			r.tellAgain(ctx)
		}
	}
	return failed
}

// socketWhenTold is the gateway's listening socket at the moment when it was told to
// end: one that is there later belongs to a gateway that took no notice.
func (r *prover) socketWhenTold(ctx context.Context) <-chan string {
	socket := make(chan string, 1)
	go func() {
		select {
		case <-ctx.Done():
		case <-r.process.Asked():
			now, _ := gateway.Listener(r.Listen.Port)
			socket <- now
		}
	}()
	return socket
}

// answered tells whether there is a gateway at all.
func answered(verdict probe.Verdict) bool {
	return verdict.Outcome != probe.Unreachable && verdict.Outcome != probe.StillStarting
}

// isNoGateway says that a shell, or a job, has no gateway to prove anything to, or none yet.
func (r *prover) isNoGateway(verdict probe.Verdict) bool {
	return !r.Command.Understood && !answered(verdict)
}

// prove shows, by a handshake with the device token alone, that the gateway knows
// our device. What is missing in its store is put there first, and again after a
// refusal. patience is how long a gateway that does not answer is waited for.
func (r *prover) prove(ctx context.Context, patience time.Duration) probe.Verdict {
	started := time.Now()
	r.awaitDatabase(ctx, patience)
	verdict := r.handshake(ctx, max(0, patience-time.Since(started)))
	if !verdict.OK && answered(verdict) && r.pairAgain(ctx) {
		verdict = r.handshake(ctx, 0)
	}
	if ctx.Err() != nil {
		return verdict
	}
	r.provenSocket, _ = gateway.Listener(r.Listen.Port)
	r.counted.proof(verdict)
	r.counted.pairedIs(hasEntry(r.seeded) || verdict.OK)
	if err := r.ready.prove(verdict); err != nil {
		r.Log.Warn().Err(err).Msg("the ready file does not say what was proven")
	}
	switch {
	case verdict.OK:
		r.warned = ""
		r.pairAgain(ctx)
		event := r.Log.Info()
		if owner := r.Listener.Seen(); owner != "" {
			event = event.Str("listener", owner)
		}
		event.Str("device", pairing.ShortID(verdict.DeviceID)).Str("gateway", verdict.Server).
			Str("took", time.Since(started).Round(10*time.Millisecond).String()).Msg("ready: the pairing is proven")
	case r.isNoGateway(verdict):
	case r.warned != verdict.Outcome:
		r.warned = verdict.Outcome
		r.warnVerdict(verdict)
	}
	return verdict
}

// hasEntry tells whether the store had our device when it was looked at.
func hasEntry(seeded pairing.Paired) bool {
	own := seeded.Own()
	return !seeded.Deferred && own.Token != "" && own.Outcome != seed.Revoked
}

func (r *prover) handshake(ctx context.Context, patience time.Duration) probe.Verdict {
	switch {
	case r.seeded.Deferred:
		return r.AuthNow().PairOverLoopback(ctx, patience)
	case r.seeded.Own().DeviceID == "":
		return probe.Verdict{Outcome: probe.StillStarting, Message: "the gateway's " + noDatabase}
	}
	options := r.Proof(r.seeded.Self, r.seeded.Own().Token, r.SelfScopes())
	options.Wait, options.Progress, options.Command = patience, r.Progress(), r.OwnCommand
	return probe.Run(ctx, options)
}

const noDatabase = "database is not there yet, or out of reach"

// databasePoll is how often the first boot of a gateway is looked at: some ten
// microseconds each time.
const databasePoll = 100 * time.Millisecond

// awaitDatabase waits until the gateway has made its database, where it will make
// one, and pairs in it: no release is relied on to import what was seeded before
// (2026.9.5 does not). A gateway that listens without one reads files.
func (r *prover) awaitDatabase(ctx context.Context, patience time.Duration) {
	if !r.undecided() || r.seeded.Own().Outcome == seed.Revoked {
		return // or there will be nothing to prove in either store
	}
	started, progress, poll := time.Now(), r.Progress(), databasePoll
	if !r.Command.Understood {
		poll = restartPoll // which may open the database
	}
	for ctx.Err() == nil && !r.process.Stopping() {
		elapsed := time.Since(started)
		if bootedHere(ctx, r.Target) {
			r.pairAgain(ctx)
			if r.seeded.Deferred || r.seeded.Own().DeviceID != "" {
				return
			}
			// It is locked, or a later release listens before it makes one.
			poll = restartPoll
		}
		if elapsed >= patience {
			return
		}
		progress(probe.Waiting{Elapsed: elapsed, Remaining: patience - elapsed, Reason: "its " + noDatabase})
		select {
		case <-ctx.Done():
		case <-time.After(poll):
		}
	}
}

// undecided tells whether the gateway may still turn to another store than the
// one that was seeded.
func (r *prover) undecided() bool {
	return !r.seeded.Deferred && r.seeded.Store.Kind != "" && r.seeded.Store.Kind != seed.SQLite && r.Release.Era() != gateway.EraJSON
}

// pairAgain puts into the gateway's store what is missing there, and tells whether
// anything was. What somebody removed stays removed.
func (r *prover) pairAgain(ctx context.Context) bool {
	if r.seeded.Deferred {
		return false
	}
	before := r.seeded
	out, err := r.Pair(ctx, pairing.Wishes{Known: before.Self, Live: true, Before: before.Results})
	if err != nil {
		if errors.As(err, new(*seed.SchemaError)) {
			r.seeded.Deferred = true
			return true
		}
		if ctx.Err() == nil {
			r.Log.Warn().Err(err).Str("hint", pairing.HintOf(err)).Msg("cannot look after the pairing beside the gateway")
		}
		return false
	}
	r.seeded = out
	return out.Own().Token != before.Own().Token || slices.ContainsFunc(out.Results, seed.Result.Written)
}

func (e *Entrypoint) warnVerdict(verdict probe.Verdict) {
	event := e.Log.Warn().Str("outcome", verdict.Outcome.String()).Int("would_exit", e.ExitCode(&pairing.RefusedError{Verdict: verdict}))
	if verdict.RequestID != "" {
		event = event.Str("requestId", verdict.RequestID)
	}
	if len(verdict.Hints) > 0 {
		event = event.Str("hint", verdict.Hints[0])
	}
	event.Msg("the pairing is NOT proven: " + verdict.Message)
}

var _ startedGateway = (*launch.Process)(nil)
