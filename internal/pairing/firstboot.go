package pairing

import (
	"context"
	"net"
	"strconv"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/seed"
)

// firstBootPatience is how long a first boot may take to make its database, or
// to listen; here it takes 2 to 40 s.
const firstBootPatience = 2 * time.Minute

// IsServed tells whether a gateway serves the state folder, for a command that
// may seed beside one. It waits where that is about to change: a first boot
// looks for files once, makes its database, and takes no notice of what is
// written as a file in between (2026.9.6: "Legacy pairing stores require
// repair"), or ends over it (2026.8.2: "Legacy device identity exists").
func (t *Target) IsServed(ctx context.Context) (bool, error) {
	deadline := time.Now().Add(firstBootPatience)
	for told := false; ; told = true {
		if t.IsLive(ctx) {
			return true, nil
		}
		if t.Release.Era() == gateway.EraJSON || !seed.Undecided(ctx, t.StateDir) || !gateway.Running(t.StateDir) || time.Now().After(deadline) {
			return false, nil
		}
		if !told {
			t.Log.Info().Str("at_most", firstBootPatience.String()).
				Str("hint", "if it answers already, at another port than "+strconv.Itoa(t.Listen.Port)+": "+SetPort("PORT")).
				Msg("a gateway boots here for the first time: waiting until it has a store")
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// SetPort says how to name a port that stands in the gateway's command alone.
func SetPort(port string) string {
	return "set OPENCLAW_GATEWAY_PORT=" + port + " or gateway.port, or give --gateway-url ws://" + net.JoinHostPort("127.0.0.1", port)
}
