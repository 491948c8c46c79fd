package pairing

import (
	"cmp"
	"errors"
)

// classed is an error that knows what its exit code is about.
type classed interface{ Class() string }

// HintOf is the next thing to do, where an error knows it.
func HintOf(err error) string {
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) {
		return hinter.Hint()
	}
	return ""
}

// Usage is an error of a setting or a command line, with what to do about it; an
// empty hint is that of err.
func Usage(err error, hint string) error { return &usageError{err: err, hint: hint} }

// usageError is a setting that cannot be worked with.
type usageError struct {
	err  error
	hint string
}

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Class() string { return "usage" }
func (e *usageError) Unwrap() error { return e.err }

// Hint is what to do about it: its own, or that of the error in it.
func (e *usageError) Hint() string { return cmp.Or(e.hint, HintOf(e.err)) }

// RunningError says that a gateway serves here already.
type RunningError struct {
	what string
	hint string
}

func (e *RunningError) Error() string { return e.what }
func (e *RunningError) Class() string { return "running" }
func (e *RunningError) Hint() string  { return e.hint }
