package status

import (
	"net"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/settings"
)

func TestHintsForABrowserFitTheRelease(t *testing.T) {
	origin := &protocol.Refusal{Kind: protocol.Origin}
	for name, test := range map[string]struct {
		release, page string
		outcome       probe.Outcome
		refusal       *protocol.Refusal
		want          []string
	}{
		"2026.9.6, waits":               {"2026.9.6", "http://192.0.2.1:18789", probe.NotPaired, nil, []string{"bootstrap link --url", "bootstrap approve --list"}},
		"2026.5.28, waits, https":       {"2026.5.28", "https://192.0.2.1", probe.NotPaired, nil, []string{"bootstrap approve --list"}},
		"2026.5.28, origin, plain http": {"2026.5.28", "http://nas:18789", probe.TLSOrOrigin, origin, []string{"open it by https"}},
		"2026.5.28, origin, https":      {"2026.5.28", "https://nas", probe.TLSOrOrigin, origin, []string{`"https://nas"]`}},
		"2026.5.28, another port":       {"2026.5.28", "http://localhost:8080", probe.TLSOrOrigin, origin, []string{"publish the port as it is", `"http://localhost:8080"]`}},
		"unknown, plain http":           {"", "http://192.0.2.1:18789", probe.NotPaired, nil, []string{"bootstrap link", "bootstrap approve", "older than 2026.8.1, open it by https"}},
		"unknown, https":                {"", "https://192.0.2.1", probe.NotPaired, nil, []string{"bootstrap link", "bootstrap approve"}},
	} {
		t.Run(name, func(t *testing.T) {
			target := &pairing.Target{}
			target.OwnCommand = func(name string, arguments ...string) string {
				return strings.Join(append([]string{"bootstrap", name}, arguments...), " ")
			}
			if test.release != "" {
				version, err := gateway.ParseVersion(test.release)
				if err != nil {
					t.Fatal(err)
				}
				target.Release = gateway.Release{Version: version, Known: true}
			}
			got := browserHints(target, settings.WebURL(test.page), probe.Verdict{Outcome: test.outcome, Refusal: test.refusal})
			if !slices.EqualFunc(got, test.want, strings.Contains) {
				t.Errorf("hints are %q, want %q", got, test.want)
			}
		})
	}
}

// Beside a gateway on loopback alone, another user may have that port at the address of
// this machine, and would be shown the gateway's token.
func TestAGatewayOnLoopbackIsNotAskedForAtThisMachinesAddress(t *testing.T) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	target := &pairing.Target{}
	target.Listen = gateway.Listen{Host: "127.0.0.1", Dial: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
	if got := ownAddress(target); got != "" {
		t.Errorf("%s is asked", got)
	}
}
