package gatewaytest

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Command is a program that a test runs to its end.
type Command struct {
	Argv    []string
	Env     []string // added to a clean environment, KEY=value
	Stdin   string
	In      *Remote       // where it runs; nil is this machine's own network
	Timeout time.Duration // 0 is [Patience]; past it the test fails
}

// Result is how a Command ended.
type Result struct {
	Stdout, Stderr string
	Code           int // as a shell would say it: 128+n for signal n
}

// Run runs a command to its end. It fails the test only if the command cannot
// be started or takes too long: what an exit code means is the caller's to say.
func Run(t testing.TB, c Command) Result {
	t.Helper()
	if c.Timeout == 0 {
		c.Timeout = Patience
	}
	if c.In != nil {
		c.Argv = append(c.In.prefix(), c.Argv...)
	}
	mark := newMark(t)
	defer killMarked(mark)
	// Not t.Context, which has ended when a cleanup function runs a command.
	ctx, cancel := context.WithTimeout(context.Background(), c.Timeout)
	defer cancel()

	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env = append(cleanEnv(t, mark), c.Env...)
	cmd.Dir = t.TempDir()
	cmd.Stdin = strings.NewReader(c.Stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.SysProcAttr = childAttr()
	cmd.WaitDelay = 5 * time.Second // for what it left behind and that holds our pipes
	err := cmd.Run()
	switch {
	case ctx.Err() != nil:
		t.Fatalf("%v has not ended within %v\nstdout: %s\nstderr: %s", c.Argv, c.Timeout, stdout.String(), stderr.String())
	case cmd.ProcessState == nil:
		t.Fatalf("cannot start %v: %v", c.Argv, err)
	case errors.Is(err, exec.ErrWaitDelay):
		t.Fatalf("%v ended, but left a process that holds its output\nstderr: %s", c.Argv, stderr.String())
	}
	return Result{stdout.String(), stderr.String(), exitCode(cmd.ProcessState)}
}

// CLI runs the official command line beside a state directory, in a clean
// environment: no gateway token, no URL. For more, give Run the argv of Install.
func CLI(t testing.TB, version, stateDir string, args ...string) Result {
	t.Helper()
	return Run(t, Command{
		Argv: append(Install(t, version), args...),
		Env:  []string{"OPENCLAW_STATE_DIR=" + stateDir},
	})
}

// cleanEnv has nothing of the developer's own OpenClaw or Node set-up in it,
// and a home directory of its own.
func cleanEnv(t testing.TB, mark string) []string {
	t.Helper()
	env := []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + t.TempDir(),
		"LANG=C.UTF-8",
		"NO_COLOR=1",
		markVariable + "=" + mark,
	}
	if dir := os.Getenv(coverDir); dir != "" {
		env = append(env, coverDir+"="+dir)
	}
	return env
}

// childAttr makes a child that a signal to the test's terminal does not reach
// and that ends with the test process.
func childAttr() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}

func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}
