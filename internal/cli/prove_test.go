package cli

import (
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// A proxy, or another machine, that --gateway-url names is asked when it wants to be.
func TestOnlyTheGatewayThatWasStartedIsAskedAgainSoon(t *testing.T) {
	p := place{starts: true}
	p.Listen = gateway.Listen{Dial: "127.0.0.1", Port: 18789}
	for url, want := range map[string]bool{p.Listen.URL(): true, "wss://gateway.example": false} {
		p.URL = url
		if got := proof(settings.Settings{}, p, identity.Identity{}, "", nil).Started; got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
	p.starts, p.URL = false, p.Listen.URL()
	if proof(settings.Settings{}, p, identity.Identity{}, "", nil).Started {
		t.Error("a gateway that somebody else has started")
	}
}

// The helper of an exec handover has paired nothing where the gateway ends, or
// listens, before it has made its database.
func TestWhatIsNotPairedYetIsNotProven(t *testing.T) {
	self, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := prover{app: &app{}, seeded: pairing{self: self, store: seed.Info{Kind: seed.Staged}}}
	if verdict := r.handshake(t.Context(), 0); verdict.Outcome != probe.StillStarting {
		t.Errorf("got %v", verdict)
	}
}
