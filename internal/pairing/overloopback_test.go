package pairing

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/settings"
)

// A database of a schema that nobody knows cannot be had from today's gateways,
// so the flow is entered where it would go: with a gateway that runs, and
// nothing written into its store.
func TestPairingOverLoopbackWorksOnceAndRespectsARemoval(t *testing.T) {
	for _, version := range []string{"2026.5.28", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			state := gatewaytest.CopyState(t, version)
			gateway := gatewaytest.Start(t, gatewaytest.Options{Version: version, StateDir: state, Token: "sekret"})
			gateway.WaitReady(t)
			vars := Variables(append(os.Environ(),
				"OPENCLAW_STATE_DIR="+state, "OPENCLAW_GATEWAY_TOKEN=sekret", fmt.Sprintf("OPENCLAW_GATEWAY_PORT=%d", gateway.Port)))
			s, err := settings.Load(vars, nil)
			if err != nil {
				t.Fatal(err)
			}
			target, err := Settle(Invocation{Log: zerolog.Nop()}, s, nil, vars, true)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(context.Background(), gatewaytest.Patience)
			defer cancel()
			first := target.PairOverLoopback(ctx, s.ProveTimeout)
			if !first.OK || len(first.Scopes) != 7 { // "full", with no package in sight
				t.Fatalf("the first start: %+v", first)
			}
			if second := target.PairOverLoopback(ctx, s.ProveTimeout); !second.OK || second.DeviceID != first.DeviceID {
				t.Errorf("a later start: %+v", second)
			}
			removed := gatewaytest.CLI(t, version, state, "devices", "remove", first.DeviceID, "--url", gateway.URL, "--token", "sekret")
			if removed.Code != 0 || !strings.Contains(removed.Stdout+removed.Stderr, first.DeviceID) {
				t.Fatalf("removing it: %+v", removed)
			}
			if after := target.PairOverLoopback(ctx, s.ProveTimeout); after.Outcome != probe.NotPaired {
				t.Errorf("after it was removed: %+v", after)
			}
		})
	}
}
