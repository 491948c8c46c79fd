package status

import (
	"strconv"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
)

// Two gateways on one machine: what answers at the port of the settings is the other one.
func TestAnotherGatewayAtThePortHidesNoneElsewhere(t *testing.T) {
	state := t.TempDir()
	_, others := gatewaytest.PretendServe(t, "127.0.0.1", "OPENCLAW_STATE_DIR="+t.TempDir())
	_, port := gatewaytest.PretendServe(t, "127.0.0.1", "OPENCLAW_STATE_DIR="+state)
	asked := "127.0.0.1:" + strconv.Itoa(others)
	target := &pairing.Target{Installation: gateway.Installation{StateDir: state, URL: "ws://" + asked}}
	verdict := probe.Verdict{Outcome: probe.NotPaired, Hints: []string{"bootstrap seed"}}
	AddLocalHint(t.Context(), target, &verdict)
	if !strings.Contains(verdict.Hint(), "at port "+strconv.Itoa(port)+", and not at ws://"+asked) {
		t.Errorf("got %q", verdict.Hints)
	}
}

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
