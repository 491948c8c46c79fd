package seed

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
)

// Device is one operator device that shall be paired.
type Device struct {
	// Name says to people and in the ledger which device this is.
	Name      string
	PublicKey ed25519.PublicKey
	Scopes    []string
	// Local: this is the state directory's own device, whose token the CLI in this
	// directory keeps too.
	Local bool
	// Made: bootstrap has made the key, and keeps it in the client's bundle.
	Made bool
	// Reseed: pair it as if for the first time, with a new token and exactly
	// these scopes, even where somebody removed it.
	Reseed bool
	// Key is the device's own where we have it; then the barrier can connect as it.
	Key identity.Identity
	// token is what the device gets where it has none; empty for a new one.
	token string
	// known: it was in the store when it was looked at. If it is not there when it is
	// written, somebody has removed it.
	known bool
}

func (d Device) ID() string { return identity.DeviceID(d.PublicKey) }

// idsOf are the ids of devices.
func idsOf(devices []Device) (ids []string) {
	for _, device := range devices {
		ids = append(ids, device.ID())
	}
	return ids
}

// publicKey is the key as the stores hold it.
func (d Device) publicKey() string { return base64.RawURLEncoding.EncodeToString(d.PublicKey) }

// Outcome is what seeding did, or would do, with one device.
type Outcome string

const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	// Revoked: somebody removed the device, or its token, from this very store.
	Revoked Outcome = "revoked"
)

// Result tells about one device. Token is a secret.
type Result struct {
	Name     string
	DeviceID string
	Outcome  Outcome
	// Again: it was seeded here before, into a store that is gone.
	Again bool
	// Changes names the fields that were written.
	Changes []string
	// Retired are the ids of the client's former keys that the store no longer has,
	// since this one took their place.
	Retired []string
	// Scopes that the device now has, and those among them that nobody asked for.
	Scopes, Wider []string
	Token         string
}

// Written tells whether the store was changed for this device.
func (r Result) Written() bool {
	return r.Outcome == Created || r.Outcome == Updated || len(r.Retired) > 0
}

// short is enough of a device id for a person to tell devices apart.
func short(deviceID string) string { return deviceID[:min(12, len(deviceID))] }

// deviceName is safe as a directory's name on every filesystem.
var deviceName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
})

// ValidName says that a client can be called so: its bundle is a directory of that
// name.
func ValidName(name string) bool { return deviceName().MatchString(name) }

const (
	scopeAdmin   = "operator.admin"
	scopePairing = "operator.pairing"
	scopeRead    = "operator.read"
	scopeWrite   = "operator.write"
)

// Presets lists the names that [Scopes] knows, widest first.
func Presets() []string { return []string{"full", "standard", "read", "pairing"} }

// Scopes spells a preset out for a release, sorted. Gateways up to 2026.2.19
// compare scopes literally, so that admin does not imply the others there.
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
// that is operator.admin, which implies every other scope from 2026.2.24 on.
// So "full" for one release is not too much where another release asks for less.
func Beyond(asked, have []string) []string {
	if slices.Contains(asked, scopeAdmin) {
		return nil
	}
	return missing(asked, have)
}

// missing lists what of want is not in have.
func missing(have, want []string) []string {
	return slices.DeleteFunc(slices.Clone(want), func(scope string) bool { return slices.Contains(have, scope) })
}

// union is both, sorted, each once.
func union(a, b []string) []string {
	out := slices.Concat(a, b)
	slices.Sort(out)
	return slices.Compact(out)
}
