package status

import (
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
)

func TestAGatewayElsewhereIsNamedAsFarAsItIsKnown(t *testing.T) {
	target := &pairing.Target{
		Installation: gateway.Installation{URL: "ws://127.0.0.1:18789", Listen: gateway.Listen{Port: 18789}},
		Invocation: pairing.Invocation{OwnCommand: func(name string, arguments ...string) string {
			return "bootstrap " + name + " " + strings.Join(arguments, " ")
		}},
	}
	for _, c := range []struct {
		port      int
		what, fix string
	}{
		{28020, "serves this state directory at port 28020, and not at ws://127.0.0.1:18789", "--gateway-url ws://127.0.0.1:28020"},
		{18789, "it still starts", "bootstrap probe --wait"},
		{0, "it listens elsewhere", "OPENCLAW_GATEWAY_PORT=PORT"},
	} {
		got := Running{PID: 7, Port: c.port}.finding(target)
		if !strings.Contains(got.What, "(pid 7)") || !strings.Contains(got.What, c.what) || !strings.Contains(got.Fix, c.fix) {
			t.Errorf("at %d: %+v", c.port, got)
		}
	}
}
