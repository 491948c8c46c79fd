package seed

import (
	"crypto/ed25519"
	"encoding/base64"

	"github.com/reflectt/bootstrap/internal/identity"
)

// Device is one operator device that shall be paired.
type Device struct {
	// Name says to people and in the ledger which device this is.
	Name      string
	PublicKey ed25519.PublicKey
	Scopes    []string
	// Local: this is the state folder's own device, whose token the CLI in this
	// folder keeps too.
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
}

// ID is the device id.
func (d Device) ID() string { return identity.DeviceID(d.PublicKey) }

// publicKey is the key as the stores hold it.
func (d Device) publicKey() string { return base64.RawURLEncoding.EncodeToString(d.PublicKey) }

// Outcome is what seeding did, or would do, with one device.
type Outcome string

// The outcomes.
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
