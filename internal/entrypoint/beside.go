package entrypoint

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
)

// besideVariable carries the gateway's pid to the helper of an exec handover. It
// is no setting, and is not handed on.
const besideVariable = "_BOOTSTRAP_BESIDE"

// inBetween precedes the pid for the process that starts the helper and ends, so
// that the helper is not a child of the gateway, which would not reap it.
const inBetween = "start:"

// startBeside starts this program once more, with the same command line, as the
// helper of the gateway that this process is about to become.
func startBeside(environ []string) error {
	between, err := startAgain(environ, inBetween+strconv.Itoa(os.Getpid()))
	if err != nil {
		return err
	}
	return launch.AwaitEnd(between)
}

func startAgain(environ []string, beside string) (pid int, err error) {
	return launch.StartSession("/proc/self/exe", os.Args, append(environ, besideVariable+"="+beside))
}

// Beside is the helper of a gateway that was started by exec.
type Beside string

// TakeBeside takes the helper's variable out of an environment; empty where this
// process is none.
func TakeBeside(environ []string) (beside Beside, rest []string) {
	vars := pairing.Variables(environ)
	value, is := vars[besideVariable]
	if !is {
		return "", environ
	}
	delete(vars, besideVariable)
	return Beside(value), pairing.EnvironOf(vars)
}

// Prove pairs in the database that the gateway makes, proves that, and ends; or it
// ends with the gateway.
func (b Beside) Prove(ctx context.Context, environ []string, settle func() (*Entrypoint, error)) error {
	if gateway, between := strings.CutPrefix(string(b), inBetween); between {
		_, err := startAgain(environ, gateway)
		return err
	}
	pid, err := strconv.Atoi(string(b))
	if err != nil {
		return pairing.Usage(fmt.Errorf("%s: %q is no process id", besideVariable, b), "unset it: it is not for people")
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := launch.OnEnd(pid, cancel); err != nil {
		return err
	}
	e, err := settle()
	if err != nil {
		return err
	}
	e.ready = &readiness{}
	e.StartsGateway()
	e.Listener.Started(pid)
	options := e.SeedOptions()
	options.Log = zerolog.Nop() // every gateway that is started boots
	known, err := seed.ReadCredentials(ctx, options)
	if err != nil && ctx.Err() == nil {
		return err
	}
	r := prover{
		Entrypoint: e, process: otherProcess(pid), once: true,
		seeded: pairing.Paired{Self: known.Identity, Store: seed.Info{Kind: seed.Staged}},
	}
	_ = r.keep(ctx) // whose code would be the gateway's
	return nil
}

// otherProcess is a gateway that is not our child.
type otherProcess int

// Stopping is false: it ends with the context.
func (otherProcess) Stopping() bool { return false }

// Asked is never closed, likewise.
func (otherProcess) Asked() <-chan struct{} { return nil }

// Stop sends the signal.
func (p otherProcess) Stop(signal syscall.Signal) { _ = syscall.Kill(int(p), signal) }
