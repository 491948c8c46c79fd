package cli

import (
	"errors"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/statedb"
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
		{GatewayRunning, "a gateway already runs on this state folder or port"},
		{HookFailed, "a hook failed, and --hook-failure is stop"},
		{CannotRun, "the gateway command cannot be run"},
		{NotFound, "the gateway command was not found"},
		{Signalled, "128+n: signal n ended the gateway, or this command before it was done; otherwise the gateway's own code"},
	}
}

// exitError ends the program with a code of its own, and nothing more to say.
type exitError struct{ code Code }

func (e *exitError) Error() string { return "exit" }

// runningError says that a gateway serves here already.
type runningError struct {
	what string
	hint string
}

func (e *runningError) Error() string { return e.what }
func (e *runningError) Hint() string  { return e.hint }

// usageError is a command line that cannot be understood.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

// Hint is what to do about it: its own, or that of the error in it.
func (e *usageError) Hint() string {
	if e.hint == "" {
		return hintOf(e.err)
	}
	return e.hint
}

// codeOf finds the exit code of an error by its type.
func codeOf(err error) Code {
	var (
		exit     *exitError
		command  *launch.CommandError
		stopped  *launch.StoppedError
		settings *settings.Error
		usage    *usageError
		user     *launch.UserError
		name     *seed.NameError
		id       *identity.Error
		store    *seed.StoreError
		database *statedb.Error
		state    *launch.StateDirError
		owner    *launch.OwnerError
		drop     *launch.PrivilegeError
		locked   *atomicfile.LockedError
		running  *runningError
		hook     *hookError
		refused  *refusedError
		policy   *approve.PolicyError
		memory   *approve.MemoryError
	)
	switch {
	case err == nil:
		return OK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &hook):
		return HookFailed
	case errors.As(err, &command):
		return Code(command.Code)
	case errors.As(err, &stopped):
		return Signalled + Code(stopped.Signal)
	case errors.As(err, &refused):
		return verdictCode(refused.verdict.Outcome)
	case errors.As(err, &settings), errors.As(err, &usage), errors.As(err, &user), errors.As(err, &name), errors.As(err, &policy):
		return Usage
	case errors.As(err, &id):
		return IdentityUnusable
	case errors.As(err, &locked):
		return Locked
	case errors.As(err, &running):
		return GatewayRunning
	case errors.As(err, &memory):
		return StoreUnusable
	case errors.As(err, &store), errors.As(err, &database), errors.As(err, &state), errors.As(err, &owner), errors.As(err, &drop):
		return StoreUnusable
	}
	return Unexpected
}

// verdictCode is the exit code of a probe's outcome.
func verdictCode(outcome probe.Outcome) Code {
	switch outcome {
	case probe.OK:
		return OK
	case probe.Unreachable:
		return Unreachable
	case probe.StillStarting:
		return Starting
	case probe.NotPaired:
		return NotPaired
	case probe.UpgradeWanted:
		return UpgradeWanted
	case probe.GatewayAuth:
		return AuthRefused
	case probe.RateLimited:
		return RateLimited
	case probe.ProtocolMismatch:
		return ProtocolMismatch
	case probe.DeviceAuth:
		return DeviceAuthRefused
	case probe.TLSOrOrigin:
		return TLSOrOrigin
	case probe.NotProvable:
		return NotProvable
	}
	return Unexpected
}
