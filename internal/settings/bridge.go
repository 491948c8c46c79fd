package settings

import (
	"fmt"
	"net/netip"
	"strings"
)

// bridgeConflicts are settings of the bridge that would let in more than a
// person means.
func (s *Settings) bridgeConflicts() (problems []string) {
	switch s.BridgeJoin {
	case "", "read", "standard":
	default:
		problems = append(problems, fmt.Sprintf("--bridge-join (BOOTSTRAP_BRIDGE_JOIN): %q is not one of read, standard: more is given to nobody for asking", s.BridgeJoin))
	}
	if s.BridgeJoin != "" && s.BridgeTokens {
		problems = append(problems, "--bridge-join and --bridge-tokens do not go together: who has no bundle yet has no token of its own to show")
	}
	for i, host := range s.BridgeHosts {
		s.BridgeHosts[i] = strings.TrimSuffix(strings.Trim(host, "[]"), ".")
		if _, err := netip.ParseAddr(s.BridgeHosts[i]); err != nil && (strings.ContainsAny(host, ":/") || s.BridgeHosts[i] == "") {
			problems = append(problems, fmt.Sprintf("--bridge-host (BOOTSTRAP_BRIDGE_HOSTS): %q is not the name of a host alone: leave out the port, and what is not part of the name, as in gateway.local", host))
		}
	}
	return problems
}
