package gatewaytest_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// What an init has to live through: its log's readers, signals at any moment, and
// a gateway that leaves it no process. The gateways here are shell scripts.

// asInit are the ways in which bootstrap may stand before a gateway.
var asInit = map[string]struct {
	pid1     bool
	handover string
}{
	"as PID 1":        {true, "supervise"},
	"as a supervisor": {false, "supervise"},
	"by exec":         {false, "exec"},
}

func eachInit(t *testing.T, test func(t *testing.T, p *program)) {
	for name, c := range asInit {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProgram(t, c.pid1)
			p.env = append(p.env, "BOOTSTRAP_HANDOVER="+c.handover)
			test(t, p)
		})
	}
}

// program is one bootstrap on a state directory of its own.
type program struct {
	*exec.Cmd
	dir, state string
	env        []string
	pid1       bool
	uid        int
	done       chan struct{}
}

func newProgram(t *testing.T, pid1 bool) *program {
	t.Helper()
	if pid1 && os.Geteuid() != 0 {
		t.Skip("a PID namespace needs root")
	}
	dir := t.TempDir()
	return &program{dir: dir, state: filepath.Join(dir, "state"), pid1: pid1, done: make(chan struct{}), env: []string{
		"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "OPENCLAW_STATE_DIR=" + filepath.Join(dir, "state"),
		fmt.Sprintf("OPENCLAW_GATEWAY_PORT=%d", gatewaytest.FreePort(t)), "BOOTSTRAP_PROVE_TIMEOUT=300ms",
	}}
}

// gateway is a script that is found as openclaw; it says that it is up, and ends
// with 3 when it is told to.
func (p *program) gateway(t *testing.T, before string) []string {
	t.Helper()
	script := "#!/bin/sh\ntrap 'echo told >told; exit 3' TERM\n" + before + "\necho up >up\nwhile :; do sleep 0.05; done\n"
	if err := os.WriteFile(filepath.Join(p.dir, "openclaw"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return []string{"run", "--", "openclaw", "gateway", "--allow-unconfigured"}
}

func (p *program) start(t *testing.T, stdout, stderr *os.File, args ...string) {
	t.Helper()
	p.Cmd = exec.Command(gatewaytest.Bootstrap(t), args...)
	p.Env, p.Dir, p.Stdout, p.Stderr = p.env, p.dir, stdout, stderr
	p.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if p.pid1 {
		p.SysProcAttr.Cloneflags = syscall.CLONE_NEWPID
	}
	if p.uid != 0 {
		p.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(p.uid), Gid: uint32(p.uid)}
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.done); _ = p.Wait() }()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		<-p.done
	})
}

// await waits for something that is sure to come while the program runs.
func (p *program) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	await(t, what, func() bool {
		ended := p.ended() // before the look: what it did last counts too
		there := holds()
		if ended && !there {
			t.Fatalf("it has ended before %s", what)
		}
		return there
	})
}

func (p *program) ended() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

func (p *program) awaitFile(t *testing.T, name string) {
	t.Helper()
	p.await(t, name, func() bool { _, err := os.Stat(filepath.Join(p.dir, name)); return err == nil })
}

func (p *program) signal(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := p.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// ends expects an exit, not a death by a signal, with the code.
func (p *program) ends(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
	if status := p.ProcessState.Sys().(syscall.WaitStatus); !status.Exited() || status.ExitStatus() != code {
		t.Errorf("it ended with %v, want exit code %d", p.ProcessState, code)
	}
}

// logPipe is a pipe for the log that holds one page.
func logPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	if _, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, os.Getpagesize()); err != nil {
		t.Fatal(err)
	}
	reader, writer = os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	return reader, writer
}

func logFile(t *testing.T, p *program) *os.File {
	t.Helper()
	file := must(os.Create(filepath.Join(p.dir, "log")))(t)
	t.Cleanup(func() { _ = file.Close() })
	return file
}

func (p *program) log(t *testing.T) string {
	return string(must(os.ReadFile(filepath.Join(p.dir, "log")))(t))
}

// As with 2> >(head -n 1): the gateway lives, and its exit code is ours.
func TestALogReaderThatEndsTakesNothingAlong(t *testing.T) {
	t.Parallel()
	eachInit(t, func(t *testing.T, p *program) {
		reader, writer := logPipe(t)
		p.start(t, nil, writer, p.gateway(t, "")...)
		_ = writer.Close()
		if _, err := bufio.NewReaderSize(reader, 16).ReadByte(); err != nil {
			t.Fatal(err)
		}
		_ = reader.Close()
		p.awaitFile(t, "up")
		p.signal(t, syscall.SIGTERM)
		p.ends(t, 3)
		p.mustHave(t, "told")
	})
}

func (p *program) mustHave(t *testing.T, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(p.dir, name)); err != nil {
		t.Error(err)
	}
}

func TestALogThatIsFullBeforeTheStartKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	eachInit(t, func(t *testing.T, p *program) {
		reader, writer := logPipe(t)
		must(writer.Write(bytes.Repeat([]byte("\n"), os.Getpagesize())))(t)
		p.start(t, nil, writer, p.gateway(t, "")...)
		p.awaitFile(t, "up")
		p.signal(t, syscall.SIGTERM)
		p.ends(t, 3)
		p.mustHave(t, "told")
		_ = reader.Close()
	})
}

func TestALogThatIsFullLaterKeepsNobodyWaiting(t *testing.T) {
	t.Parallel()
	eachInit(t, func(t *testing.T, p *program) {
		reader, writer := logPipe(t)
		p.start(t, nil, writer, p.gateway(t, "dd if=/dev/zero bs=1 >&2 2>/dev/null &")...)
		p.awaitFile(t, "up")
		p.await(t, "a full pipe", func() bool {
			return must(unix.IoctlGetInt(int(reader.Fd()), unix.TIOCINQ))(t) == os.Getpagesize()
		})
		p.signal(t, syscall.SIGTERM)
		p.ends(t, 3)
		p.mustHave(t, "told")
		_ = reader.Close()
	})
}

// A reader that was away for a while finds every line.
func TestALogReaderThatComesBackFindsTheLines(t *testing.T) {
	t.Parallel()
	for _, pid1 := range []bool{true, false} {
		t.Run(fmt.Sprintf("as PID 1 %v", pid1), func(t *testing.T) {
			p := newProgram(t, pid1)
			reader, writer := logPipe(t)
			must(writer.Write(bytes.Repeat([]byte("\n"), os.Getpagesize())))(t)
			p.env = append(p.env, "BOOTSTRAP_HANDOVER=supervise")
			p.start(t, nil, writer, p.gateway(t, "")...)
			_ = writer.Close()
			p.awaitFile(t, "up")
			said := make(chan string)
			go func() {
				all, _ := io.ReadAll(reader)
				said <- string(all)
			}()
			p.signal(t, syscall.SIGTERM)
			p.ends(t, 3)
			all := <-said
			for _, line := range []string{`"message":"paired"`, "starting the gateway", `"source":"gateway","code":3`} {
				if !strings.Contains(all, line) {
					t.Errorf("%s is missing: %s", line, strings.TrimLeft(all, "\n"))
				}
			}
		})
	}
}

// The gateway starts with the signals as they were: SIGPIPE above all, which Node
// sets to be ignored by itself, and a shell does not.
func TestTheGatewayStartsWithTheSignalsAsTheyWere(t *testing.T) {
	t.Parallel()
	look := "grep -E 'Sig(Ign|Blk|Cgt)' /proc/self/status"
	bare := must(exec.Command("grep", "-E", "Sig(Ign|Blk|Cgt)", "/proc/self/status").Output())(t)
	eachInit(t, func(t *testing.T, p *program) {
		out := must(os.Create(filepath.Join(p.dir, "out")))(t)
		defer out.Close()
		p.start(t, out, logFile(t, p), "run", "--", "sh", "-c", "exec "+look)
		p.ends(t, 0)
		if got := must(os.ReadFile(out.Name()))(t); !bytes.Equal(got, bare) {
			t.Errorf("with us:\n%swithout us:\n%s", got, bare)
		}
	})
}

// "bootstrap identity show | head -n 0" ends as any program does, quietly.
func TestAnAnswerThatNobodyReadsEndsQuietly(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"version"}, {"status"}, {"seed", "--json"}, {"--help"}} {
		for _, pid1 := range []bool{true, false} {
			t.Run(fmt.Sprintf("%v as PID 1 %v", args, pid1), func(t *testing.T) {
				t.Parallel()
				p := newProgram(t, pid1)
				reader, writer := logPipe(t)
				_ = reader.Close()
				p.start(t, writer, logFile(t, p), args...)
				p.ends(t, 128+13)
				if args[0] != "seed" && p.log(t) != "" {
					t.Errorf("it says %s", p.log(t))
				}
			})
		}
	}
}

// From its first step on a command ends with 128+n, and without a word of the Go
// runtime; nothing is left half written.
func TestASignalEndsACommandWithItsNumber(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"seed", "run"} {
		for _, pid1 := range []bool{true, false} {
			for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP} {
				t.Run(fmt.Sprintf("%s as PID 1 %v, %v", command, pid1, sig), func(t *testing.T) {
					t.Parallel()
					p := newProgram(t, pid1)
					manifest := filepath.Join(p.dir, "manifest.yaml")
					if err := os.WriteFile(manifest, []byte("clients: [{name: agent-1}]\n"), 0o600); err != nil {
						t.Fatal(err)
					}
					if err := os.MkdirAll(filepath.Join(p.state, "bootstrap"), 0o700); err != nil {
						t.Fatal(err)
					}
					// It cannot get past the lock.
					lock := must(atomicfile.Acquire(t.Context(), filepath.Join(p.state, "bootstrap", "lock"), 0))(t)
					defer lock.Release()
					opened := watchOpen(t, manifest)
					args := []string{"seed"}
					if command == "run" {
						args = p.gateway(t, "")
					}
					p.env = append(p.env, "BOOTSTRAP_MANIFEST="+manifest, "BOOTSTRAP_LOCK_TIMEOUT=1h")
					p.start(t, nil, logFile(t, p), args...)
					opened(t) // the settings are being read
					p.signal(t, sig)
					p.ends(t, 128+int(sig))
					if said := p.log(t); strings.Contains(said, "goroutine") || command == "seed" && strings.Contains(said, `"error"`) {
						t.Errorf("it says %s", said)
					}
					for _, left := range must(filepath.Glob(filepath.Join(p.state, "*", ".*")))(t) {
						t.Errorf("%s is left", left)
					}
				})
			}
		}
	}
}

// watchOpen returns what waits until the file is opened.
func watchOpen(t *testing.T, path string) func(*testing.T) {
	t.Helper()
	fd := must(unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK))(t)
	watch := os.NewFile(uintptr(fd), "inotify")
	t.Cleanup(func() { _ = watch.Close() })
	must(unix.InotifyAddWatch(fd, path, unix.IN_OPEN))(t)
	return func(t *testing.T) {
		t.Helper()
		if err := watch.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		must(watch.Read(make([]byte, 4096)))(t)
	}
}

// A gateway that has used up the processes takes its init no thread away. Only
// somebody who is not root can be limited so.
func TestAnInitNeedsNoThreadThatItHasNotGot(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become somebody else")
	}
	for _, cores := range []string{"", "16"} {
		t.Run("cores "+cores, func(t *testing.T) {
			p := newProgram(t, true)
			p.uid = 61234
			for dir := p.dir; dir != filepath.Dir(dir) && dir != os.TempDir(); dir = filepath.Dir(dir) {
				if err := os.Chmod(dir, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := errors.Join(os.Chown(p.dir, p.uid, p.uid), os.Chmod(filepath.Dir(gatewaytest.Bootstrap(t)), 0o755)); err != nil {
				t.Fatal(err)
			}
			health := fmt.Sprintf("127.0.0.1:%d", gatewaytest.FreePort(t))
			bridge := fmt.Sprintf("127.0.0.1:%d", gatewaytest.FreePort(t))
			reader, writer := logPipe(t) // full soon: one thread more is kept busy
			defer reader.Close()
			p.env = append(p.env, "BOOTSTRAP_HEALTH_LISTEN="+health, "BOOTSTRAP_BRIDGE="+bridge, "BOOTSTRAP_CLIENTS=agent-1", "BOOTSTRAP_READY_FILE=off")
			if cores != "" {
				p.env = append(p.env, "GOMAXPROCS="+cores)
			}
			// One process is what it has already.
			p.start(t, nil, writer, p.gateway(t, "until [ -e started ]; do sleep 0.05; done\nprlimit --pid $PPID --nproc=1:1 || exit 1")...)
			for log := bufio.NewScanner(reader); log.Scan() && !strings.Contains(log.Text(), "starting the gateway"); {
			}
			if err := os.WriteFile(filepath.Join(p.dir, "started"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			p.awaitFile(t, "up")
			storm(health, bridge)
			if p.ended() {
				t.Errorf("it has ended: %v", p.ProcessState)
			}
			status := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", p.Process.Pid)))(t)
			_, threads, _ := strings.Cut(string(status), "Threads:")
			t.Logf("threads: %s", strings.Fields(threads)[0])
			p.signal(t, syscall.SIGTERM)
			p.ends(t, 3)
		})
	}
}

// storm asks for health, and connects to a bridge whose gateway is away, from many
// sides at once.
func storm(health, bridge string) {
	var all sync.WaitGroup
	for range 32 {
		all.Go(func() {
			client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
			for range 20 {
				for _, url := range []string{"http://" + health + "/livez", "http://" + health + "/readyz", "http://" + bridge + "/agent-1"} {
					request, _ := http.NewRequest(http.MethodGet, url, nil)
					request.Header = http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
					answer, err := client.Do(request)
					if err != nil {
						return // the test sees whether it has ended
					}
					_ = answer.Body.Close()
				}
			}
		})
	}
	all.Wait()
}
