package launch

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"testing"
)

// running is a supervisor whose child logs signals.
type running struct {
	*exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
}

func startLogger(t *testing.T, mode string, before string) *running {
	t.Helper()
	command := exec.Command("/bin/sh", "-c", before+`exec "$0" "$@"`, self(t), helperPrefix+mode, self(t), "helper:signals")
	in, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{Cmd: command, in: in, lines: bufio.NewScanner(out)}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = in.Close() })
	r.expect(t, "ready")
	return r
}

func (r *running) expect(t *testing.T, want string) {
	t.Helper()
	if !r.lines.Scan() {
		t.Fatalf("output ended, want %q", want)
	}
	if r.lines.Text() != want {
		t.Fatalf("got %q, want %q", r.lines.Text(), want)
	}
}

func (r *running) send(t *testing.T, sig syscall.Signal) {
	t.Helper()
	if err := r.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

// finish ends the child by the end of its input; nothing more may be said.
func (r *running) finish(t *testing.T) {
	t.Helper()
	_ = r.in.Close()
	for r.lines.Scan() {
		t.Errorf("unexpected %q", r.lines.Text())
	}
	if code := codeOf(t, r.Wait()); code != 0 {
		t.Errorf("code %d", code)
	}
}

func TestASignalReachesTheChildOnceOrNotAtAll(t *testing.T) {
	cases := map[string]struct {
		mode   string
		before string
		sent   syscall.Signal
		got    string
	}{
		"TERM as TERM":                   {"supervise", "", syscall.SIGTERM, "SIGTERM"},
		"INT as INT":                     {"supervise", "", syscall.SIGINT, "SIGINT"},
		"HUP as TERM":                    {"supervise", "", syscall.SIGHUP, "SIGTERM"},
		"QUIT as TERM":                   {"supervise", "", syscall.SIGQUIT, "SIGTERM"},
		"CONT as CONT":                   {"supervise", "", syscall.SIGCONT, "SIGCONT"},
		"HUP under nohup not at all":     {"supervise", "trap '' HUP; ", syscall.SIGHUP, ""},
		"USR1 of an unknown release not": {"supervise", "", syscall.SIGUSR1, ""},
		"USR2 of an unknown release not": {"supervise", "", syscall.SIGUSR2, ""},
		"USR1 where it restarts as USR1": {"supervise-usr1", "", syscall.SIGUSR1, "SIGUSR1"},
		"USR2 where USR1 restarts not":   {"supervise-usr1", "", syscall.SIGUSR2, ""},
		"USR2 where it restarts as USR2": {"supervise-usr2", "", syscall.SIGUSR2, "SIGUSR2"},
		"USR1 where USR2 restarts not":   {"supervise-usr2", "", syscall.SIGUSR1, ""},
		"PIPE not":                       {"supervise", "", syscall.SIGPIPE, ""},
		"URG not":                        {"supervise", "", syscall.SIGURG, ""},
		"CHLD not":                       {"supervise", "", syscall.SIGCHLD, ""},
		"TTIN under a shell's trap not":  {"supervise", "trap '' TTIN; ", syscall.SIGTTIN, ""},
		"ALRM, which nobody asked for":   {"supervise", "", syscall.SIGALRM, ""},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			r := startLogger(t, c.mode, c.before)
			r.send(t, c.sent)
			if c.got != "" {
				r.expect(t, c.got)
			}
			// WINCH has the highest number, and Go hands out pending signals in
			// that order: whatever came before it has been dealt with.
			r.send(t, syscall.SIGWINCH)
			r.expect(t, "SIGWINCH")
			r.finish(t)
		})
	}
}

func TestASecondTermIsForwardedAndNothingIsKilled(t *testing.T) {
	r := startLogger(t, "supervise", "")
	for range 5 {
		r.send(t, syscall.SIGTERM)
		r.expect(t, "SIGTERM")
	}
	r.finish(t)
}

// The child is in a group of its own: what is sent to ours, as a Ctrl-C is,
// comes through us alone.
func TestASignalToOurGroupArrivesOnce(t *testing.T) {
	r := startLogger(t, "supervise", "")
	if err := syscall.Kill(-r.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	r.expect(t, "SIGINT")
	r.send(t, syscall.SIGWINCH)
	r.expect(t, "SIGWINCH")
	r.finish(t)
}

func TestSigkillComesOnlyAfterTheStopTimeout(t *testing.T) {
	r := startLogger(t, "supervise-timeout", "")
	r.send(t, syscall.SIGTERM)
	for r.lines.Scan() {
		if r.lines.Text() != "SIGTERM" {
			t.Errorf("unexpected %q", r.lines.Text())
		}
	}
	if code := codeOf(t, r.Wait()); code != 137 {
		t.Errorf("code %d, want 137", code)
	}
}

func TestTheStartLosesNoSignal(t *testing.T) {
	for name, c := range map[string]struct{ mode string }{
		"TERM before the start prevents it":          {"term-before-start"},
		"TERM between start and loop ends the child": {"term-before-run"},
		"Stop from another goroutine ends the child": {"supervise-stop"},
	} {
		t.Run(name, func(t *testing.T) {
			command := exec.Command(self(t), helperPrefix+c.mode, "/bin/sh", "-c", "exec sleep 60")
			if code := codeOf(t, command.Run()); code != 143 {
				t.Errorf("code %d, want 143", code)
			}
		})
	}
}

func TestEveryOrphanIsReapedAndNoExitCodeLost(t *testing.T) {
	const orphans = 10
	cases := map[string]struct {
		prefix []string
		isInit bool
		rounds int
	}{
		"as PID 1":             {[]string{"unshare", "--pid", "--fork", "--mount-proc", "--kill-child"}, true, 500},
		"as a subreaper":       {nil, false, 50},
		"with SIGCHLD ignored": {[]string{"/bin/sh", "-c", `trap '' CHLD; exec "$0" "$@"`}, false, 50},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if c.isInit && os.Geteuid() != 0 {
				t.Skip("a PID namespace needs root")
			}
			if testing.Short() {
				c.rounds = min(c.rounds, 50)
			}
			command := append(c.prefix, self(t), "helper:rounds", strconv.Itoa(c.rounds), strconv.Itoa(orphans))
			out, err := exec.Command(command[0], command[1:]...).Output()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			var got report
			if err := json.Unmarshal(out, &got); err != nil {
				t.Fatal(err)
			}
			if len(got.Lost) > 0 {
				t.Errorf("lost: %v", got.Lost)
			}
			if got.Orphans != c.rounds*orphans {
				t.Errorf("%d orphans reaped, want %d", got.Orphans, c.rounds*orphans)
			}
			if (got.PID == 1) != c.isInit {
				t.Errorf("ran as pid %d", got.PID)
			}
		})
	}
}

func TestTheLoopDoesNotAllocatePerOrphan(t *testing.T) {
	out, err := exec.Command(self(t), "helper:rounds", "1", "300").Output()
	if err != nil {
		t.Fatal(err)
	}
	var got report
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatal(err)
	}
	if got.Mallocs > 100 {
		t.Errorf("%d allocations for 300 orphans", got.Mallocs)
	}
}
