package pairing

import (
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
)

// A proxy, or another machine, that --gateway-url names is asked when it wants to be.
func TestOnlyTheGatewayThatWasStartedIsAskedAgainSoon(t *testing.T) {
	p := &Target{Starts: true}
	p.Listen = gateway.Listen{Dial: "127.0.0.1", Port: 18789}
	for url, want := range map[string]bool{p.Listen.URL(): true, "wss://gateway.example": false} {
		p.URL = url
		if got := p.Proof(identity.Identity{}, "", nil).Started; got != want {
			t.Errorf("%s: %v", url, got)
		}
	}
	p.Starts, p.URL = false, p.Listen.URL()
	if p.Proof(identity.Identity{}, "", nil).Started {
		t.Error("a gateway that somebody else has started")
	}
}
