package gateway

import (
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"testing"
	"time"
)

// The process is a shell that waits, under the names that gateways have.
func TestAGatewayThatBootsIsSeen(t *testing.T) {
	state, other := t.TempDir(), t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(state, link); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		argv []string
		env  []string
		want bool
		port int
	}{
		"by its title":                     {[]string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + state}, true, 0},
		"by the title that 2026.8.2 gives": {[]string{"openclaw-gateway"}, []string{"OPENCLAW_STATE_DIR=" + state}, true, 0},
		"by its arguments":                 {[]string{"openclaw", "gateway", "--port", "1"}, []string{"OPENCLAW_STATE_DIR=" + state}, true, 1},
		"by the directory, not its name":   {[]string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + link}, true, 0},
		"but not one on another directory": {[]string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + other}, false, 0},
		"nor one in another home":          {[]string{"openclaw"}, []string{"HOME=" + other}, false, 0},
		"nor another command of openclaw":  {[]string{"openclaw", "devices", "list"}, []string{"OPENCLAW_STATE_DIR=" + state}, false, 0},
		"nor any other program":            {[]string{"openclaws-friend"}, []string{"OPENCLAW_STATE_DIR=" + state}, false, 0},
	} {
		t.Run(name, func(t *testing.T) {
			// The shell reads its commands from a pipe that nobody writes to, and so
			// shows the arguments that it was given.
			argv := test.argv
			if len(argv) > 1 {
				argv = slices.Insert(slices.Clone(argv), 1, "-s")
			}
			pid := startShell(t, argv, test.env)
			if got := Running(state); got != test.want {
				t.Errorf("seen: %v, want %v", got, test.want)
			}
			if serving, found := Serving(state); found && (!serving.Boots || serving.PID != pid || serving.Port != test.port) {
				t.Errorf("got %+v, want one that boots, pid %d and port %d", serving, pid, test.port)
			}
		})
	}
	if Running(filepath.Join(state, "missing")) {
		t.Error("a directory that is not there is served")
	}
}

// The shell has the gateway's socket. A process without one, such as the CLI, which has
// the gateway's title, does not hide it.
func TestAGatewayThatListensHasItsPort(t *testing.T) {
	state := t.TempDir()
	env := []string{"OPENCLAW_STATE_DIR=" + state}
	listener := listen(t, "[::1]:0").(*net.TCPListener)
	file, err := listener.File()
	if err != nil {
		t.Fatal(err)
	}
	startShell(t, []string{"openclaw"}, env)
	gateway := startShell(t, []string{"openclaw"}, env, file)
	startShell(t, []string{"openclaw"}, env)
	port := listener.Addr().(*net.TCPAddr).Port
	for _, close := range []func() error{listener.Close, file.Close} {
		if err := close(); err != nil { // it is the shell's alone now
			t.Fatal(err)
		}
	}
	if got, running := Serving(state); !running || got != (Process{PID: gateway, Port: port}) {
		t.Errorf("got %+v %v, want pid %d and port %d", got, running, gateway, port)
	}
}

// Under a title nobody sees the --profile that a gateway was started with.
func TestAGatewayIsElsewhereWhereThatIsCertain(t *testing.T) {
	state, home := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(home, ".openclaw"), 0o700); err != nil {
		t.Fatal(err)
	}
	for env, want := range map[string]bool{
		"OPENCLAW_STATE_DIR=" + home:  true,
		"OPENCLAW_STATE_DIR=" + state: false,
		"HOME=" + home:                false,
	} {
		listener := listen(t, "127.0.0.1:0").(*net.TCPListener)
		file, err := listener.File()
		if err != nil {
			t.Fatal(err)
		}
		startShell(t, []string{"openclaw"}, []string{env}, file)
		port := listener.Addr().(*net.TCPAddr).Port
		for _, close := range []func() error{listener.Close, file.Close} {
			if err := close(); err != nil { // it is the shell's alone now
				t.Fatal(err)
			}
		}
		if got := ServedElsewhere(port, state); got != want {
			t.Errorf("%s: %v", env, got)
		}
	}
}

// Up to 2026.9.5 "openclaw logs --follow" is two processes: the first one has the title
// of a gateway that boots for as long as the second one runs.
func TestACommandThatStartedItselfAgainIsNoGateway(t *testing.T) {
	state, programs := t.TempDir(), t.TempDir()
	if err := os.Symlink("/bin/sh", filepath.Join(programs, "openclaw-logs")); err != nil {
		t.Fatal(err)
	}
	pid, input := startReader(t, []string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + state, "PATH=" + programs})
	if !Running(state) {
		t.Fatalf("pid %d is not seen", pid)
	}
	if _, err := fmt.Fprintln(input, "openclaw-logs"); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); Running(state); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it is taken for a gateway that boots")
		}
	}
}

// startShell starts one that waits, under a name, with files of its own; it ends with
// the test.
func startShell(t *testing.T, argv, env []string, files ...*os.File) (pid int) {
	t.Helper()
	pid, _ = startReader(t, argv, env, files...)
	return pid
}

// startReader is startShell, with where it reads its commands.
func startReader(t *testing.T, argv, env []string, files ...*os.File) (pid int, input io.Writer) {
	t.Helper()
	cmd := exec.Command("/bin/sh")
	cmd.Args, cmd.Env, cmd.ExtraFiles = argv, env, files
	commands, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = commands.Close(); _ = cmd.Wait() })
	waitForEnvironment(t, cmd.Process.Pid)
	return cmd.Process.Pid, commands
}

// The kernel closes what an exec must close, which is what Start waits for, before
// it lays out the new program's arguments and, after them, its environment.
func waitForEnvironment(t *testing.T, pid int) {
	t.Helper()
	for {
		environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		if len(environ) > 0 {
			return
		}
		runtime.Gosched()
	}
}
