package gatewaytest

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"testing"
)

// Pretender is a shell under a gateway's name: a gateway to whoever looks at the
// processes.
type Pretender struct {
	PID int
	// Input is where it reads its commands.
	Input io.Writer
	// End ends it, as the end of the test does.
	End func()
}

// Pretend starts a shell with these arguments, environment and files, from number 3 on,
// which waits for commands.
func Pretend(t testing.TB, argv, env []string, files ...*os.File) Pretender {
	t.Helper()
	cmd := exec.Command("/bin/sh")
	cmd.Args, cmd.Env, cmd.ExtraFiles = argv, env, files
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end := sync.OnceFunc(func() { _ = input.Close(); _ = cmd.Wait() })
	t.Cleanup(end)
	// The kernel closes what an exec must close, which is what Start waits for, before
	// it lays out the new program's arguments and, after them, its environment.
	for {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", cmd.Process.Pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(environ) > 0 {
			return Pretender{PID: cmd.Process.Pid, Input: input, End: end}
		}
		runtime.Gosched()
	}
}

// PretendBoot is a gateway that boots on a state directory.
func PretendBoot(t testing.TB, stateDir string) Pretender {
	t.Helper()
	return Pretend(t, []string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + stateDir})
}

// PretendServe is a gateway that listens at a free port of a host, and has this
// environment.
func PretendServe(t testing.TB, host string, env ...string) (p Pretender, port int) {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }() // it is the shell's alone then
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	return Pretend(t, []string{"openclaw"}, env, file), listener.Addr().(*net.TCPAddr).Port
}
