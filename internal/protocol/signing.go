package protocol

import (
	"errors"
	"sync/atomic"
)

// Signature is the form of what the device signs.
type Signature int

const (
	// SignatureV3 binds platform and device family too; from 2026.2.26 on.
	SignatureV3 Signature = iota
	// SignatureV2 is what every release accepts.
	SignatureV2
)

// Signing remembers which form of signature one gateway accepts. The zero value
// begins with the newest. It is safe for concurrent use.
type Signing struct{ old atomic.Bool }

// Try makes an attempt, and a second one in the older form, at once and on a
// connection of its own, where the gateway does not know the newer one.
func (s *Signing) Try(attempt func(Signature) error) error {
	if s.old.Load() {
		return attempt(SignatureV2)
	}
	err := attempt(SignatureV3)
	if !signatureRejected(err) {
		return err
	}
	err = attempt(SignatureV2)
	var refusal *Refusal
	if err == nil || errors.As(err, &refusal) && !signatureRejected(err) {
		s.old.Store(true)
	}
	return err
}

// signatureRejected also asks for the kind: other refusals may repeat a peer's
// words.
func signatureRejected(err error) bool {
	var refusal *Refusal
	return errors.As(err, &refusal) && refusal.Kind == DeviceAuth && refusal.SignatureRejected()
}
