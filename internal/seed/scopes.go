package seed

import (
	"fmt"
	"slices"
	"strings"
)

// The operator scopes that releases from 2026.1.29 to 2026.9.6 know.
const (
	scopeAdmin     = "operator.admin"
	scopeApprovals = "operator.approvals"
	scopePairing   = "operator.pairing"
	scopeRead      = "operator.read"
	scopeSecrets   = "operator.talk.secrets"
	scopeWrite     = "operator.write"
)

// Presets lists the names that [Scopes] knows, widest first.
func Presets() []string { return []string{"full", "standard", "read", "pairing"} }

// Scopes spells a preset out, sorted. Gateways up to 2026.2.19 compare scopes
// literally, so that admin does not stand for the others there.
func Scopes(preset string) ([]string, error) {
	switch preset {
	case "full":
		return []string{scopeAdmin, scopeApprovals, scopePairing, scopeRead, scopeSecrets, scopeWrite}, nil
	case "standard":
		return []string{scopeRead, scopeWrite}, nil
	case "read":
		return []string{scopeRead}, nil
	case "pairing":
		return []string{scopePairing}, nil
	}
	return nil, fmt.Errorf("unknown preset %q: one of %s", preset, strings.Join(Presets(), ", "))
}

// CheckScope refuses what no gateway would take as an operator's scope.
func CheckScope(scope string) error {
	name, ok := strings.CutPrefix(scope, "operator.")
	if !ok || name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789.-_") != "" {
		return fmt.Errorf("%q is not a scope: it starts with \"operator.\", as operator.read does", scope)
	}
	return nil
}

// missing lists what of want is not in have.
func missing(have, want []string) []string {
	var out []string
	for _, scope := range want {
		if !slices.Contains(have, scope) {
			out = append(out, scope)
		}
	}
	return out
}

// union is both, sorted, each once.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
