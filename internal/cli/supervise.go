package cli

import (
	"context"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/settings"
)

// restartPoll is how often the gateway's socket is looked at. It costs two
// questions to the kernel, some 40 microseconds, and no traffic.
const restartPoll = 2 * time.Second

// keepProving proves the pairing, and proves it again whenever the gateway has
// restarted in place, which its pid does not tell.
func (a *app) keepProving(ctx context.Context, s settings.Settings, p place, seeded pairing, ready *readiness, process *launch.Process) Code {
	var watcher watching
	defer watcher.stop()
	for !process.Stopping() {
		if code := a.prove(ctx, s, p, seeded, ready, process); code != OK {
			return code
		}
		if process.Stopping() {
			break
		}
		watcher.ensure(ctx, a, s, p)
		if !waitForRestart(ctx, p.Listen.Port) {
			return OK
		}
		if err := ready.forget(); err != nil {
			a.log.Warn().Err(err).Msg("the gateway has gone, and the ready file says otherwise")
		}
		if !process.Stopping() {
			a.log.Info().Msg("the gateway restarts in place; proving again")
		}
	}
	a.tellAgain(ctx, p, process)
	return OK
}

// tellAgain is for a gateway that was told to stop while it restarted in place:
// then it takes no notice (2026.9.6: "received SIGTERM during shutdown;
// ignoring"). Whenever it listens anew it is told once more, until it ends.
func (a *app) tellAgain(ctx context.Context, p place, process *launch.Process) {
	for ctx.Err() == nil {
		if listener, err := gateway.Listener(p.Listen.Port); err == nil && listener != "" {
			a.log.Info().Msg("the gateway has restarted instead of stopping; told again")
			process.Stop(syscall.SIGTERM)
		}
		if !waitForRestart(ctx, p.Listen.Port) {
			return
		}
	}
}

// waitForRestart waits until the gateway listens with another socket than now;
// false where it ended first, or where nothing can be seen.
func waitForRestart(ctx context.Context, port int) bool {
	before, err := gateway.Listener(port)
	if err != nil {
		<-ctx.Done()
		return false
	}
	tick := time.NewTicker(restartPoll)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-tick.C:
		}
		if now, err := gateway.Listener(port); err == nil && now != before {
			return true
		}
	}
}
