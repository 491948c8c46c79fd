package entrypoint

import (
	"context"
	"time"

	"github.com/reflectt/bootstrap/internal/health"
)

// notifySystemd begins to tell the service manager how the start goes, where it waits
// to hear that (Type=notify). From then on nobody else may: the gateway, or a program
// that it starts, could say READY=1 before the proof, or STOPPING=1 after it, and
// NotifyAccess=all, which podman needs, lets them. The watchdog is ours likewise.
func (e *Entrypoint) notifySystemd() {
	switch {
	case e.Settings.NotifySocket == "":
		return
	case e.ready == nil:
		// What replaces us is then what systemd has started: the socket is its own.
		e.Log.Warn().Str("hint", "leave --handover=exec out, or set Type=exec in the unit").
			Msg("systemd waits for READY=1 (NOTIFY_SOCKET is set), and after --handover=exec nobody says it for us")
		return
	}
	for _, name := range []string{"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} {
		delete(e.Variables, name)
	}
	e.systemd = health.NewSystemd(func(err error) {
		e.Log.Warn().Err(err).Str("hint", "the unit needs Type=notify, and NotifyAccess=main or all").Msg("systemd cannot be told how the start goes")
	})
	e.systemd.Status("Pairing before the gateway starts.")
}

const (
	// bridgeRetry is how often a bridge is asked whether it reaches the gateway, where
	// that is all that is missing.
	bridgeRetry = 2 * time.Second
	// lastWord is how long the end waits for a manager that does not read.
	lastWord = time.Second
)

// tellSystemd says how it is, by what /readyz would answer, until the context ends;
// told is closed when the gateway is told to end.
func (e *Entrypoint) tellSystemd(ctx context.Context, told <-chan struct{}, bridge *openedBridge) {
	if e.systemd == nil {
		return
	}
	for {
		var again <-chan time.Time
		switch state, ready := e.isReady(ctx, bridge); {
		case ready:
			e.systemd.Ready()
			e.systemd.Status("Ready: " + state.Message)
		case state.Status == "bridge":
			again = time.After(bridgeRetry)
			fallthrough
		default:
			e.systemd.Status("Not ready: " + state.Message)
		}
		select {
		case <-ctx.Done():
			return
		case <-told:
			e.systemd.Stopping()
			e.systemd.Status("Waiting for the gateway to end.")
			return
		case <-e.ready.changed:
		case <-again:
		}
	}
}
