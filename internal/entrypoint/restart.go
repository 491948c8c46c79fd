package entrypoint

import (
	"context"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
)

const (
	// restartPoll is how often the gateway's socket is looked at, where the kernel
	// does not tell that it is gone. It costs two questions to the kernel, some 40
	// microseconds, and no traffic.
	restartPoll = 2 * time.Second
	// storePoll is how often the store is looked at, where it was written since:
	// somebody may have removed our device, or lost its entry.
	storePoll = 2 * time.Minute
)

// whilePaired waits while the pairing holds: until the store says otherwise, or until
// the gateway has restarted in place, which its pid does not tell; then it is not
// ready until the next proof.
func (r *prover) whilePaired(ctx context.Context) {
	before := seed.Stamp(r.StateDir)
	for ctx.Err() == nil && !r.process.Stopping() {
		if r.restarted(ctx, r.provenSocket, storePoll) {
			if err := r.ready.forget(); err != nil {
				r.Log.Warn().Err(err).Msg("the gateway has gone, and the ready file says otherwise")
			}
			if !r.process.Stopping() {
				r.Log.Info().Msg("the gateway restarts in place; proving again")
			}
			return
		}
		now := seed.Stamp(r.StateDir)
		if now != before && !r.seeded.Deferred && !r.stillPaired(ctx) {
			return
		}
		before = now
	}
}

// stillPaired tells whether the store still has what was seeded. A store that cannot be
// read at this moment says nothing.
func (r *prover) stillPaired(ctx context.Context) bool {
	results, _, err := seed.Plan(ctx, r.SeedOptions(), r.seeded.Devices...)
	// What that took is most of what this process has, and not wanted for minutes.
	debug.FreeOSMemory()
	if err != nil {
		return true
	}
	for i, result := range results {
		if result.Outcome != r.seeded.Results[i].Outcome && result.Outcome != seed.Unchanged {
			return false
		}
	}
	return true
}

// restarted waits until the gateway listens with another socket than the known one,
// or than now where none is known, at most for limit; false where it did not, or where
// it ended first. Where it listens and its store is settled, the kernel tells when that
// socket is gone; else it is looked at again and again.
func (r *prover) restarted(ctx context.Context, known string, limit time.Duration) bool {
	end := time.Now().Add(limit)
	watch := r.listenerEnd(ctx) // before the look, so that nothing falls in between
	now, err := gateway.Listener(r.Listen.Port)
	r.socket = now
	if known == "" {
		known = now
	}
	if err == nil && now != known {
		r.countRestart(true, known)
		return true
	}
	if watch != nil && err == nil && now != "" && !r.undecided() {
		if gone, err := r.waitGone(ctx, watch, now, end); err == nil {
			r.countRestart(gone, now)
			return gone
		}
		watch.Close()
		r.end = nil
	}
	gone := r.pollRestart(ctx, known, err, end)
	r.countRestart(gone, known)
	return gone
}

// countRestart counts a socket that has gone and was not about to: a boot has none yet.
func (r *prover) countRestart(gone bool, before string) {
	if now, err := gateway.Listener(r.Listen.Port); gone && before != "" && err == nil && now != before && !r.process.Stopping() {
		r.counted.restarted()
	}
}

// listenerEnd is what the kernel tells of the gateway's port; nil where it does not.
func (r *prover) listenerEnd(ctx context.Context) *gateway.ListenerEnd {
	if !r.endTried {
		r.endTried = true
		r.end, _ = gateway.WatchListenerEnd(ctx, r.Listen.Port)
	}
	return r.end
}

// waitGone waits until the kernel says that a listener on the port is gone, and looks
// whether it is this one: what was said before may be about an earlier one. At the
// end it looks anyway, for the kernel says nothing where it lacks memory.
func (r *prover) waitGone(ctx context.Context, watch *gateway.ListenerEnd, before string, end time.Time) (bool, error) {
	for {
		told, err := watch.Wait(ctx, time.Until(end))
		if err != nil || ctx.Err() != nil {
			return false, err
		}
		now, err := gateway.Listener(r.Listen.Port)
		if err != nil || now != before || !told {
			return err == nil && now != before, err
		}
	}
}

// pollRestart looks every few seconds; failed says that there is nothing to be seen.
func (r *prover) pollRestart(ctx context.Context, before string, failed error, until time.Time) bool {
	end := time.After(time.Until(until))
	tick := time.NewTicker(restartPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-end:
			return false
		case <-tick.C:
		}
		if failed != nil {
			continue // nothing can be seen here
		}
		now, err := gateway.Listener(r.Listen.Port)
		if err == nil && now != before || r.undecided() && bootedHere(ctx, r.Target) {
			return true
		}
	}
}

// tellAgain is for a gateway that was asked to stop while it restarted in place:
// then it takes no notice (2026.9.6: "received SIGTERM during shutdown;
// ignoring"). Whenever it listens anew it is told once more, until it ends.
func (r *prover) tellAgain(ctx context.Context) {
	for ctx.Err() == nil {
		if listener, err := gateway.Listener(r.Listen.Port); err == nil && listener != "" && listener != r.socket {
			r.Log.Info().Msg("the gateway has restarted instead of stopping; told again")
			r.process.Stop(syscall.SIGTERM)
		}
		r.restarted(ctx, "", storePoll)
	}
}

// bootedHere tells whether the gateway is through with making its store: it
// listens, which it does seconds before it lets anybody in. Until then its database
// is not opened: to close it is to fold its -wal, and a first boot of 2026.9.6 that
// meets that lock ends with 78 ("database is locked"). Where the port is not known
// for certain, its process's sockets tell, and where that is not seen, the database's own
// record.
func bootedHere(ctx context.Context, t *pairing.Target) bool {
	if listener, err := gateway.Listener(t.Listen.Port); err == nil && listener != "" {
		return true
	}
	if t.Command.Understood {
		return false
	}
	if process, running := gateway.Serving(t.StateDir); running {
		return !process.Boots
	}
	booted, err := seed.Booted(ctx, t.StateDir)
	return err == nil && booted
}
