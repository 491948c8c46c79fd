package cli

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"runtime/debug"
	"sync"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/launch"
)

// lastWork is how long a command may take to end after a signal.
// What it writes is whole or not there at any moment; this is for tidying up: a
// bridge gives its clients 12 s to answer a goodbye.
const lastWork = 15 * time.Second

// stopping is how signals end a command: the way it notices, its context, ends.
type stopping struct {
	signals *launch.Signals
	// handOver leaves the signals to whoever asks, and returns a *StoppedError if
	// one came before.
	handOver func() error
}

// runUntilSignal runs the command line. A signal that ends a program ends it with 128+n,
// without another word; but a command that has done all it should nevertheless has
// succeeded, and while a gateway runs the signals are the gateway's.
func (a *app) runUntilSignal(argv []string, signals *launch.Signals) error {
	ctx, done := signals.Context(context.Background())
	a.stopping = stopping{signals: signals, handOver: sync.OnceValue(done)}
	ended := make(chan error, 2)
	go func() { ended <- a.runCommandLine(ctx, argv) }()
	context.AfterFunc(ctx, func() {
		time.Sleep(lastWork)
		ended <- context.Cause(ctx)
	})
	err := <-ended
	var stopped *launch.StoppedError
	switch {
	case !errors.As(a.stopping.handOver(), &stopped), err == nil, errors.As(err, &stopped):
		return err
	}
	return &exitError{code: Signalled + Code(stopped.Signal)}
}

func (a *app) runCommandLine(ctx context.Context, argv []string) (err error) {
	defer func() {
		// Go's own code for it is 2, which means something else here.
		if fault := recover(); fault != nil {
			a.log.Error().Str("stack", string(debug.Stack())).Msgf("a fault in bootstrap itself, please report it: %v", fault)
			err = &exitError{code: Unexpected}
		}
	}()
	return a.commands().RunContext(ctx, rewriteArgs(argv))
}

// ignorePipeSignal keeps a write to a pipe that nobody reads any more from ending
// the program: it fails, as it does for Node. The signal is caught, not ignored,
// for a gateway would start with it ignored as well.
func ignorePipeSignal() {
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
}
