package entrypoint

import (
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// The helper of an exec handover has paired nothing where the gateway ends, or
// listens, before it has made its database.
func TestWhatIsNotPairedYetIsNotProven(t *testing.T) {
	self, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := prover{Entrypoint: &Entrypoint{Target: &pairing.Target{}}, seeded: pairing.Paired{Self: self, Store: seed.Info{Kind: seed.Staged}}}
	if verdict := r.handshake(t.Context(), 0); verdict.Outcome != probe.StillStarting {
		t.Errorf("got %v", verdict)
	}
}
