package launch

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// Signals holds the signals that are to be forwarded from the moment of Catch,
// so that none is lost while there is no child yet.
type Signals struct {
	forward chan os.Signal
	child   chan os.Signal
}

// forwardBuffer is room for every forwarded kind several times over: the
// kernel merges what it has not delivered, we only must not drop what it has.
const forwardBuffer = 64

// Catch starts to hold the signals that end a program, for Start. Call it before
// anything that takes time. Go's own answers to them are a death by the signal, or
// exit code 2 where there is none (PID 1), and a dump for QUIT.
func Catch() *Signals {
	s := &Signals{
		forward: make(chan os.Signal, forwardBuffer),
		// One is enough: each SIGCHLD means "reap all there is", and a full
		// channel means that such a message already waits.
		child: make(chan os.Signal, 1),
	}
	s.notify(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
	return s
}

// catchAll adds what only matters beside a child. It is left to Start because
// every signal that is asked for costs some 50 microseconds.
func (s *Signals) catchAll() {
	signal.Notify(s.child, syscall.SIGCHLD)
	s.notify(syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGWINCH, syscall.SIGCONT)
}

func (s *Signals) notify(signals ...syscall.Signal) {
	for _, sig := range signals {
		// Notify would undo the nohup that somebody started us with.
		if !signal.Ignored(sig) {
			signal.Notify(s.forward, sig)
		}
	}
}

// Release gives the signals back to Go's defaults, for a program that lives on
// without them, or becomes another one. What has arrived before can still be asked
// for with Stopped.
func (s *Signals) Release() {
	signal.Stop(s.forward)
	signal.Stop(s.child)
}

// Stopped takes the signals that have arrived so far, and returns the first of
// them that ends a program. Other signals are dropped: without a child there is
// nobody whom they could concern.
func (s *Signals) Stopped() (syscall.Signal, bool) {
	for {
		select {
		case sig := <-s.forward:
			if number, ok := sig.(syscall.Signal); ok && terminates(number) {
				return number, true
			}
		default:
			return 0, false
		}
	}
}

// Context returns a context that ends when a terminating signal arrives, for
// whatever takes time before there is a child. done must be called, once, before
// the signals are used again: it returns a *StoppedError if one arrived, else nil,
// and then the context never ends. Other signals are dropped meanwhile, as by
// Stopped.
func (s *Signals) Context(parent context.Context) (ctx context.Context, done func() error) {
	ctx, cancel := context.WithCancelCause(parent)
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-quit:
				return
			case sig := <-s.forward:
				if number, ok := sig.(syscall.Signal); ok && terminates(number) {
					cancel(&StoppedError{Signal: number})
					return
				}
			}
		}
	}()
	return ctx, func() error {
		close(quit)
		<-ended
		if stopped := (*StoppedError)(nil); errors.As(context.Cause(ctx), &stopped) {
			return stopped
		}
		return nil
	}
}

// StoppedError says that a terminating signal came before the child was
// started, so it was not.
type StoppedError struct{ Signal syscall.Signal }

func (e *StoppedError) Error() string {
	return fmt.Sprintf("stopped by signal %d (%v) before the command was started", int(e.Signal), e.Signal)
}

// ExitCode is 128+n, what the command would have ended with.
func (e *StoppedError) ExitCode() int { return 128 + int(e.Signal) }

func terminates(sig syscall.Signal) bool {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT:
		return true
	}
	return false
}

// translate says which signal the child gets for one that we got; 0 is none.
func translate(sig, restart syscall.Signal) syscall.Signal {
	switch sig {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGWINCH, syscall.SIGCONT:
		return sig
	case syscall.SIGHUP, syscall.SIGQUIT:
		return syscall.SIGTERM
	case syscall.SIGUSR1, syscall.SIGUSR2:
		if sig == restart {
			return sig
		}
	}
	return 0
}

// forGroup tells the signals that a terminal sends to a whole process group
// from those that somebody sent to one process.
func forGroup(sig syscall.Signal) bool {
	return sig == syscall.SIGWINCH || sig == syscall.SIGCONT
}
