package seed

import (
	"fmt"
	"slices"
	"strings"

	"github.com/reflectt/bootstrap/internal/gateway"
)

const (
	scopeAdmin   = "operator.admin"
	scopePairing = "operator.pairing"
	scopeRead    = "operator.read"
	scopeWrite   = "operator.write"
)

// Presets lists the names that [Scopes] knows, widest first.
func Presets() []string { return []string{"full", "standard", "read", "pairing"} }

// Scopes spells a preset out for a release, sorted. Gateways up to 2026.2.19
// compare scopes literally, so that admin does not stand for the others there.
// The narrower presets are the same for all: later scopes that go with reading
// and writing are implied by those two.
func Scopes(preset string, release gateway.Release) ([]string, error) {
	switch preset {
	case "full":
		return release.AskedScopes(), nil
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

// Beyond lists what of have goes beyond what was asked for: nothing does where
// that is operator.admin, which stands for every other scope from 2026.2.24 on.
// So "full" for one release is not too much where another release asks for less.
func Beyond(asked, have []string) []string {
	if slices.Contains(asked, scopeAdmin) {
		return nil
	}
	return missing(asked, have)
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
