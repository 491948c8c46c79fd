package cli

import (
	"errors"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
)

// Code is an exit code. Scripts rely on these: a number never changes its
// meaning.
type Code int

// The exit codes; [Codes] says what each means.
const (
	OK                Code = 0
	Unexpected        Code = 1
	Usage             Code = 2
	IdentityUnusable  Code = 3
	StoreUnusable     Code = 4
	Locked            Code = 5
	Unreachable       Code = 10
	Starting          Code = 11
	NotPaired         Code = 12
	UpgradeWanted     Code = 13
	AuthRefused       Code = 14
	RateLimited       Code = 15
	ProtocolMismatch  Code = 16
	DeviceAuthRefused Code = 17
	TLSOrOrigin       Code = 18
	NotProvable       Code = 19
	GatewayRunning    Code = 20
	HookFailed        Code = 21
	CannotRun         Code = 126
	NotFound          Code = 127
	// Signalled is added to the number of the signal that ended the gateway, or us.
	Signalled Code = 128
)

// Meaning is one line of the exit-code table.
type Meaning struct {
	Code    Code
	Meaning string
}

// Codes is the exit-code table. The reference and the man page show the same one, and a
// test compares them.
func Codes() []Meaning {
	return []Meaning{
		{OK, "all is well"},
		{Unexpected, "something unexpected went wrong"},
		{Usage, "wrong flags or settings"},
		{IdentityUnusable, "the device identity is unusable"},
		{StoreUnusable, "the pairing store is unusable: unreadable, unwritable or of an unknown form"},
		{Locked, "another bootstrap held the lock past the timeout"},
		{Unreachable, "no gateway can be reached"},
		{Starting, "the gateway was still starting at the deadline"},
		{NotPaired, "the device is not paired, or was revoked"},
		{UpgradeWanted, "the device is paired, but a role, scope or metadata upgrade is wanted"},
		{AuthRefused, "the gateway refused the token or password"},
		{RateLimited, "the gateway limits this address after failed tries"},
		{ProtocolMismatch, "the gateway speaks another protocol version"},
		{DeviceAuthRefused, "the gateway refused the signature, the clock or the nonce"},
		{TLSOrOrigin, "TLS failed, or the gateway refused the origin"},
		{NotProvable, "nothing can be proven here: the gateway asks for no token"},
		{GatewayRunning, "a gateway already runs on this state directory or port"},
		{HookFailed, "a hook failed, and --hook-failure is stop"},
		{CannotRun, "the gateway command cannot be run"},
		{NotFound, "the gateway command was not found"},
		{Signalled, "128+n: signal n ended the gateway, or this command before it was done; otherwise the gateway's own code"},
	}
}

// exitError ends the program with a code of its own, and nothing more to say.
type exitError struct{ code Code }

func (e *exitError) Error() string { return "exit" }
func (e *exitError) ExitCode() int { return int(e.code) }

// codeOf is the exit code of an error: its own, or that of its class, which its method
// Class names; a refusal's is the outcome of the probe. Of several in one error the
// first here counts.
func codeOf(err error) Code {
	var exits interface{ ExitCode() int }
	switch {
	case err == nil:
		return OK
	case errors.As(err, &exits):
		return Code(exits.ExitCode())
	}
	found := map[string]bool{}
	classesIn(err, found)
	for _, known := range []struct {
		class string
		code  Code
	}{
		{"hook", HookFailed},
		{string(probe.OK), OK},
		{string(probe.Unreachable), Unreachable},
		{string(probe.StillStarting), Starting},
		{string(probe.NotPaired), NotPaired},
		{string(probe.UpgradeWanted), UpgradeWanted},
		{string(probe.GatewayAuth), AuthRefused},
		{string(probe.RateLimited), RateLimited},
		{string(probe.ProtocolMismatch), ProtocolMismatch},
		{string(probe.DeviceAuth), DeviceAuthRefused},
		{string(probe.TLSOrOrigin), TLSOrOrigin},
		{string(probe.NotProvable), NotProvable},
		{"usage", Usage},
		{"identity", IdentityUnusable},
		{"lock", Locked},
		{"running", GatewayRunning},
		{"store", StoreUnusable},
	} {
		if found[known.class] {
			return known.code
		}
	}
	return Unexpected
}

// classesIn notes the classes of an error and of all that it wraps.
func classesIn(err error, found map[string]bool) {
	if of, has := err.(interface{ Class() string }); has {
		found[of.Class()] = true
	}
	switch wraps := err.(type) { //nolint:errorlint // each layer is looked at
	case interface{ Unwrap() error }:
		classesIn(wraps.Unwrap(), found)
	case interface{ Unwrap() []error }:
		for _, one := range wraps.Unwrap() {
			classesIn(one, found)
		}
	}
}

// verdictCode is the exit code of a probe's outcome.
func verdictCode(outcome probe.Outcome) Code {
	return codeOf(&pairing.RefusedError{Verdict: probe.Verdict{Outcome: outcome}})
}
