package cli

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
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

// takeBeside takes the variable out of the environment; empty where this process
// is no helper.
func (a *app) takeBeside() string {
	vars := pairing.Variables(a.environ)
	beside, is := vars[besideVariable]
	if is {
		delete(vars, besideVariable)
		a.environ = pairing.EnvironOf(vars)
	}
	return beside
}

// proveBeside is the helper: it pairs in the database that the gateway makes,
// proves that, and ends; or it ends with the gateway.
func (a *app) proveBeside(ctx context.Context, s settings.Settings, argv []string, beside string) error {
	if gateway, between := strings.CutPrefix(beside, inBetween); between {
		_, err := startAgain(a.environ, gateway)
		return err
	}
	pid, err := strconv.Atoi(beside)
	if err != nil {
		return &usageError{err: fmt.Errorf("%s: %q is no process id", besideVariable, beside), hint: "unset it: it is not for people"}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := launch.OnEnd(pid, cancel); err != nil {
		return err
	}
	t, err := a.settle(s, argv, false)
	if err != nil {
		return err
	}
	t.StartsGateway()
	t.Listener.Started(pid)
	known, err := seed.ReadCredentials(ctx, t.SeedOptions())
	if err != nil {
		return err
	}
	r := prover{
		app: a, t: t, ready: &readiness{}, process: otherProcess(pid), once: true,
		seeded: pairing.Paired{Self: known.Identity, Store: seed.Info{Kind: seed.Staged}},
	}
	r.keep(ctx)
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
