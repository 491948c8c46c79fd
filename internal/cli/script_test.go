package cli

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// TestScripts runs testdata/script: what a person types, what is answered, and
// the exit code. No gateway takes part; where a command has to look like one, it
// is a script named openclaw.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               setUpScript,
		Condition:           condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"hidden":   hidden,
			"occupy":   occupy,
			"lock":     lock,
			"waitfor":  waitFor,
			"database": makeDatabase,
			"query":    query,
			"lease":    lease,
			"tls":      serveTLS,
			"systemd":  systemd,
			"metric":   metric,
		},
	})
}

// setUpScript gives each script a port of its own on which nobody listens, and
// a state directory that does not exist yet.
func setUpScript(env *testscript.Env) error {
	port, socket, err := reservePort()
	if err != nil {
		return err
	}
	env.Defer(func() { _ = unix.Close(socket) })
	env.Values[socketKey{}] = socket
	env.Setenv("PORT", strconv.Itoa(port))
	env.Setenv("OPENCLAW_GATEWAY_PORT", strconv.Itoa(port))
	// Nobody has these: whoever has a port has the ones beside it, too.
	env.Setenv("FREE_PORT", strconv.Itoa(port+lastPort-firstPort+1))
	env.Setenv("HEALTH_PORT", strconv.Itoa(port+2*(lastPort-firstPort+1)))
	env.Setenv("OPENCLAW_STATE_DIR", filepath.Join(env.WorkDir, "state"))
	hook, err := filepath.Abs("../../scripts/reflectt-host-join")
	if err != nil {
		return err
	}
	env.Setenv("HOST_JOIN", hook)
	beside, err := filepath.Abs("../../docker/reflectt-beside")
	if err != nil {
		return err
	}
	env.Setenv("BESIDE", beside)
	plugin, err := filepath.Abs("../../docker/reflectt-plugin")
	if err != nil {
		return err
	}
	env.Setenv("PLUGIN_HOOK", plugin)
	docs, err := filepath.Abs("../../docs")
	if err != nil {
		return err
	}
	env.Setenv("DOCS", docs)
	env.Setenv("DASH", strictShell())
	// Under -race every run would sleep for a second at its end.
	env.Setenv("GORACE", "atexit_sleep_ms=0")
	// So that the fake gateways can be run after a drop of rights, too.
	env.Setenv("PATH", filepath.Join(env.WorkDir, "bin")+":"+env.Getenv("PATH"))
	for dir := env.WorkDir; dir != filepath.Dir(dir) && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			return err
		}
	}
	scripts, err := filepath.Glob(filepath.Join(env.WorkDir, "bin", "*"))
	if err != nil {
		return err
	}
	for _, script := range scripts {
		if err := os.Chmod(script, 0o755); err != nil {
			return err
		}
	}
	return nil
}

// strictShell is dash where there is one, else the system's sh: what scripts
// for POSIX shells are tried with.
func strictShell() string {
	if path, err := exec.LookPath("dash"); err == nil {
		return path
	}
	return "sh"
}

func condition(name string) (bool, error) {
	if name == "root" {
		return os.Geteuid() == 0, nil
	}
	return false, fmt.Errorf("unknown condition %q", name)
}

// socketKey finds a script's bound socket among its values.
type socketKey struct{}

// The scripts' ports are a range of their own, below those that the kernel gives to
// whoever asks for any, and below those of gatewaytest, which run at the same time.
const firstPort, lastPort = 15600, 15699

// reservePort binds a port without listening on it: connections are refused,
// and nobody else can come to listen there.
func reservePort() (port, socket int, err error) {
	socket, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, 0, err
	}
	for port = firstPort; port <= lastPort; port++ {
		if err = unix.Bind(socket, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err == nil {
			return port, socket, nil
		}
	}
	return 0, 0, errors.Join(err, unix.Close(socket))
}

// occupy: from here on something answers at $PORT.
func occupy(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(unix.Listen(ts.Value(socketKey{}).(int), 8))
}

// exits CODE PROGRAM [ARGUMENT...]: runs a program, which must end with the very
// code; death by signal n counts as 128+n.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, exit := 0, (*exec.ExitError)(nil)
	err = ts.Exec(args[1], args[2:]...)
	switch {
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		if got = status.ExitStatus(); status.Signaled() {
			got = 128 + int(status.Signal())
		}
	default:
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// hidden FILE...: no line of the files may be in what the last program wrote.
func hidden(ts *testscript.TestScript, _ bool, args []string) {
	output := ts.ReadFile("stdout") + ts.ReadFile("stderr")
	for _, file := range args {
		lines := strings.Fields(ts.ReadFile(file))
		if len(lines) == 0 {
			ts.Fatalf("%s holds no secret to look for", file)
		}
		for _, secret := range lines {
			if strings.Contains(output, secret) {
				ts.Fatalf("a secret of %s was written", file)
			}
		}
	}
}
