package gatewaytest

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Patience is how long a test waits for what has to happen: only what hangs takes longer.
// Releases are ready after 8 to 15 s on an idle machine, and 136 s were seen under load;
// 1 to 17 s after SIGTERM they have ended. What waits for a boot waits five minutes.
const Patience = 8 * time.Minute

// Options say which gateway is started and how.
type Options struct {
	Version  string   // release, for example "2026.9.6"
	StateDir string   // OPENCLAW_STATE_DIR; "" is a new and empty one
	Port     int      // 0 is a free one
	Bind     string   // "" is loopback
	Token    string   // the gateway's shared token, given in the environment; "" is none
	Env      []string // added to a clean environment, KEY=value
	Prefix   []string // put before the gateway's command, for example bootstrap run --
}

// Gateway is a running gateway, or what stands before it (Options.Prefix).
type Gateway struct {
	Port     int
	StateDir string
	URL      string // ws://127.0.0.1:Port

	cmd      *exec.Cmd
	mark     string
	output   string        // file that holds stdout and stderr
	done     chan struct{} // closed when cmd has ended
	code     int           // valid after done
	restarts int
	before   int // how much of the output is from before the last one
}

// Start starts a gateway and returns at once; it is ended with the test. The
// last lines of its output are logged if the test fails.
func Start(t testing.TB, o Options) *Gateway {
	t.Helper()
	Install(t, o.Version)
	if o.StateDir == "" {
		o.StateDir = t.TempDir()
	}
	if o.Port == 0 {
		o.Port = FreePort(t)
	}
	if o.Bind == "" {
		o.Bind = "loopback"
	}
	port := strconv.Itoa(o.Port)
	argv := []string{
		filepath.Join(scripts(t), "gateway-start"), o.Version,
		"--state-dir", o.StateDir, "--port", port, "--bind", o.Bind,
	}
	argv = append(append(argv, "--"), o.Prefix...)

	g := &Gateway{
		Port:     o.Port,
		StateDir: o.StateDir,
		URL:      "ws://127.0.0.1:" + port,
		mark:     newMark(t),
		output:   filepath.Join(t.TempDir(), "gateway.log"),
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = cleanEnv(t, g.mark)
	cmd.Env = append(cmd.Env, "BOOTSTRAP_GATEWAY_CACHE="+cacheDir(t))
	if o.Token != "" {
		cmd.Env = append(cmd.Env, "OPENCLAW_GATEWAY_TOKEN="+o.Token)
	}
	cmd.Env = append(cmd.Env, o.Env...)
	cmd.Dir = t.TempDir()
	cmd.SysProcAttr = childAttr()
	g.launch(t, cmd)
	t.Cleanup(func() {
		g.end()
		if t.Failed() {
			t.Logf("openclaw %s, last lines of output:\n%s", o.Version, tail(g.Output(), 60))
		}
	})
	return g
}

func (g *Gateway) launch(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	// A file and no pipe: a process left behind could keep a pipe open.
	out, err := os.OpenFile(g.output, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %q: %v", cmd.Args, err)
	}
	done := make(chan struct{})
	g.cmd, g.done = cmd, done
	go func() {
		defer close(done)
		_ = cmd.Wait() // a non-zero end is no error here: code tells it
		g.code = exitCode(cmd.ProcessState)
	}()
}

// selfLocked is what 2026.9.6 says where one of its threads keeps its database locked for
// five seconds, over which another one ends it. It did so in one of 24 boots on a volume
// of 2026.8.2, at load 12, with nothing else that had that database open.
const selfLocked = "sidecars failed to start: Error: database is locked"

// lateHeartbeat is what 2026.9.5 and 2026.9.6 say on a machine that is busy enough.
const lateHeartbeat = "state lease heartbeat did not become ready"

// startAgain starts a gateway again that a busy machine has ended, as a restart policy of
// its container would; false where it has ended over something else.
func (g *Gateway) startAgain(t testing.TB) bool {
	t.Helper()
	said := g.Output()
	locked := g.code == 1 && strings.Contains(said[g.before:], selfLocked)
	late := (g.code == 1 || g.code == 78) && strings.Contains(said[g.before:], lateHeartbeat)
	if g.restarts == 2 || !locked && !late {
		return false
	}
	g.restarts++
	g.before = len(said)
	t.Logf("the gateway has ended over a busy machine: started again (%d)", g.restarts)
	cmd := exec.Command(g.cmd.Path, g.cmd.Args[1:]...)
	cmd.Env, cmd.Dir, cmd.SysProcAttr = g.cmd.Env, g.cmd.Dir, childAttr()
	g.launch(t, cmd)
	return true
}

// Pid is the process id of the gateway, or of what stands before it.
func (g *Gateway) Pid() int { return g.cmd.Process.Pid }

// Output is what was written to stdout and stderr so far.
func (g *Gateway) Output() string {
	b, err := os.ReadFile(g.output)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// Signal sends a signal to the process that Pid names.
func (g *Gateway) Signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		t.Fatalf("cannot send %v: %v", s, err)
	}
}

// Stop asks the gateway to stop (SIGTERM) and returns its exit code.
func (g *Gateway) Stop(t testing.TB) int {
	t.Helper()
	g.Signal(t, syscall.SIGTERM)
	return g.Wait(t, Patience)
}

// Wait returns the exit code once the gateway has ended, as a shell would say
// it: 128+n for signal n. The test fails if that takes longer than the timeout.
func (g *Gateway) Wait(t testing.TB, timeout time.Duration) int {
	t.Helper()
	select {
	case <-g.done:
		return g.code
	case <-time.After(timeout):
		t.Fatalf("the gateway has not ended within %v", timeout)
		return -1
	}
}

// WaitGone fails the test if a process that the gateway started lives on after it ended:
// a worker may take a moment to see that.
func (g *Gateway) WaitGone(t testing.TB) {
	t.Helper()
	for deadline := time.Now().Add(Patience); ; time.Sleep(50 * time.Millisecond) {
		left := marked(g.mark)
		if len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the gateway left processes behind: %v", left)
		}
	}
}

func (g *Gateway) ended() bool {
	select {
	case <-g.done:
		return true
	default:
		return false
	}
}

func (g *Gateway) end() {
	_ = g.cmd.Process.Kill() // already ended is fine
	<-g.done
	killMarked(g.mark)
}

// FreePort is a TCP port that nothing listens on. It lies below the range that
// the system takes client ports from, so that no connection of a test that runs
// beside this one can occupy it before the gateway does; nor is it given out twice, for a
// gateway listens long after it was chosen.
func FreePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 20000 + rand.IntN(12000)
		if _, given := givenOut.LoadOrStore(port, true); given {
			continue
		}
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if err == nil {
			_ = l.Close()
			return port
		}
	}
	t.Fatal("found no free port in 1000 tries")
	return 0
}

var givenOut sync.Map // ports of this process

func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
