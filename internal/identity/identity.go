// Package identity owns the device identity: an Ed25519 key pair in the very
// form that the OpenClaw gateway and its CLI keep it in, and the signatures
// that the key makes. It knows no store but the JSON file
// <state>/identity/device.json; the database's row is handed to it as values.
//
// It never replaces an identity: a file that does not hold is an [Error] that
// names the fault, and the file stays as it was.
package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// Identity is one device: an Ed25519 key pair and the moment it was made.
// The zero value is no identity; see [Identity.IsZero].
type Identity struct {
	private ed25519.PrivateKey
	created time.Time
}

// New makes an identity from the operating system's random source.
func New(now time.Time) (Identity, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Identity{}, fmt.Errorf("cannot generate a device key: %w", err)
	}
	return fromPrivate(private, now), nil
}

// FromSeed makes the identity whose 32-byte Ed25519 seed (RFC 8032) is given.
func FromSeed(seed []byte, now time.Time) (Identity, error) {
	if len(seed) != ed25519.SeedSize {
		return Identity{}, &Error{Fault: fmt.Sprintf("a raw Ed25519 seed has %d bytes, not %d", ed25519.SeedSize, len(seed))}
	}
	return fromPrivate(ed25519.NewKeyFromSeed(seed), now), nil
}

// fromPrivate keeps milliseconds only: the gateway's files hold no more.
func fromPrivate(private ed25519.PrivateKey, created time.Time) Identity {
	return Identity{private: private, created: time.UnixMilli(created.UnixMilli())}
}

// IsZero tells whether there is no key here.
func (id Identity) IsZero() bool { return id.private == nil }

// CreatedAt is when the identity was made, to the millisecond.
func (id Identity) CreatedAt() time.Time { return id.created }

// Equal tells whether both are the same key pair.
func (id Identity) Equal(other Identity) bool { return id.private.Equal(other.private) }

// DeviceID is the 64 lower-case hex digits of the SHA-256 of the raw public
// key: the name by which the gateway knows the device.
func (id Identity) DeviceID() string { return DeviceID(id.RawPublicKey()) }

// PublicKey is the raw public key in base64url without padding (43
// characters). Gateways compare this string byte for byte.
func (id Identity) PublicKey() string {
	return base64.RawURLEncoding.EncodeToString(id.RawPublicKey())
}

// Sign returns the Ed25519 signature of a payload in base64url without padding. The
// public key in it is the one that the private key makes, never one that was read.
func (id Identity) Sign(payload string) string {
	private := ed25519.NewKeyFromSeed(id.private.Seed())
	return base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, []byte(payload)))
}

// RawPublicKey is the public key's 32 bytes.
func (id Identity) RawPublicKey() ed25519.PublicKey { return id.private.Public().(ed25519.PublicKey) }

// DeviceID derives the device id of a raw public key.
func DeviceID(public ed25519.PublicKey) string {
	sum := sha256.Sum256(public)
	return hex.EncodeToString(sum[:])
}

// ParsePublicKey reads a public key as people hand it over: base64url without
// padding, as the gateway lists it, or a PEM block "PUBLIC KEY".
func ParsePublicKey(text string) (ed25519.PublicKey, error) {
	if looksLikePEM(text) {
		return parsePublicPEM(text)
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(raw) != ed25519.PublicKeySize {
		return nil, &Error{Fault: "a public key is 43 characters of base64url without padding, or a PEM block \"PUBLIC KEY\""}
	}
	return raw, nil
}

// Error says why something is not a usable device identity. Path is empty
// where the identity did not come from a file.
type Error struct {
	Path  string
	Fault string
	Err   error
	// Fix is the next thing to do, where there is something to say.
	Fix string
}

func (e *Error) Hint() string {
	if fix := atomicfile.HintFor(e.Path, e.Err); fix != "" && e.Path != "" {
		return fix
	}
	return e.Fix
}

func (e *Error) Error() string {
	text := "cannot use device identity"
	if e.Path != "" {
		text += " " + e.Path
	}
	text += ": " + e.Fault
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}
func (e *Error) Class() string { return "identity" }

func (e *Error) Unwrap() error { return e.Err }
