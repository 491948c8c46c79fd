package launch

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pty is a terminal with a session of its own on it, as `docker run -it` makes.
type pty struct {
	*exec.Cmd
	fd     int // of master
	master *os.File
	output chan []byte
	seen   string // output not yet expected
}

// openPty returns both ends; the master so that a read ends when it is closed.
func openPty(t *testing.T) (fd int, master, slave *os.File) {
	t.Helper()
	fd, err := unix.Open("/dev/ptmx", unix.O_RDWR|unix.O_NOCTTY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetUint32(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return fd, os.NewFile(uintptr(fd), "ptmx"), slave
}

func onPty(t *testing.T, command ...string) *pty {
	t.Helper()
	fd, master, slave := openPty(t)
	p := &pty{Cmd: exec.Command(command[0], command[1:]...), fd: fd, master: master, output: make(chan []byte, 64)}
	p.Stdin, p.Stdout, p.Stderr = slave, slave, slave
	p.Env = append(os.Environ(), "PS1=$ ", "TERM=dumb", "HISTFILE=")
	p.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	_ = slave.Close()
	go func() {
		defer close(p.output)
		for {
			buffer := make([]byte, 4096)
			n, err := master.Read(buffer)
			if err != nil {
				return // EIO: nobody has the terminal any more
			}
			p.output <- buffer[:n]
		}
	}()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = master.Close() // hangs up on all who are left
		for range p.output {
			continue
		}
	})
	return p
}

func (p *pty) typed(t *testing.T, text string) {
	t.Helper()
	if _, err := p.master.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

// expect waits for text; the deadline only ends a test that has failed anyway.
func (p *pty) expect(t *testing.T, text string) {
	t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		if _, after, found := strings.Cut(p.seen, text); found {
			p.seen = after
			return
		}
		select {
		case more, ok := <-p.output:
			if !ok {
				t.Fatalf("session ended, want %q, have %q", text, p.seen)
			}
			p.seen += string(more)
		case <-deadline:
			t.Fatalf("want %q, have %q", text, p.seen)
		}
	}
}

func (p *pty) ends(t *testing.T, code int) {
	t.Helper()
	if got := codeOf(t, p.Wait()); got != code {
		t.Errorf("code %d, want %d", got, code)
	}
}

// Without a shell above us, as in `docker run -it image gateway`.
func TestTheChildHasTheTerminal(t *testing.T) {
	for name, prefix := range map[string][]string{
		"as session leader": nil,
		"as PID 1":          {"unshare", "--pid", "--mount-proc", "--fork", "--kill-child"},
	} {
		t.Run(name, func(t *testing.T) {
			if prefix != nil {
				needRoot(t)
			}
			p := onPty(t, append(prefix, self(t), "helper:supervise", self(t), "helper:signals")...)
			p.expect(t, "ready")
			p.typed(t, "hello\n")
			p.expect(t, "read hello")
			p.typed(t, "\x03")
			p.expect(t, "SIGINT")
			if err := unix.IoctlSetWinsize(p.fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 33, Col: 99}); err != nil {
				t.Fatal(err)
			}
			p.expect(t, "SIGWINCH")
			// Ctrl-Z, which nobody could undo: the child runs on.
			p.typed(t, "\x1a")
			p.expect(t, "SIGCONT")
			p.typed(t, "still here\n")
			p.expect(t, "read still here")
			if strings.Contains(p.seen, "SIGINT") {
				t.Error("the Ctrl-C arrived twice")
			}
			p.typed(t, "\x04")
			p.ends(t, 0)
		})
	}
}

func TestAShellAboveUsHasJobControl(t *testing.T) {
	p := onPty(t, "bash", "--norc", "-i")
	p.expect(t, "$ ")
	p.typed(t, self(t)+" helper:supervise "+self(t)+" helper:signals\n")
	p.expect(t, "ready")
	p.typed(t, "\x1a")
	p.expect(t, "Stopped")
	p.expect(t, "$ ")
	p.typed(t, "echo shell-$((1+1))\n")
	p.expect(t, "shell-2")
	p.typed(t, "fg\n")
	p.expect(t, "SIGCONT")
	p.typed(t, "again\n")
	p.expect(t, "read again")
	// Into the background, where it stops as soon as it reads, and back.
	p.typed(t, "\x1a")
	p.expect(t, "Stopped")
	p.typed(t, "bg\n")
	p.typed(t, "until [ -n \"$(jobs -s)\" ]; do sleep 0.02; done; echo at-rest-$((1+1))\n")
	p.expect(t, "at-rest-2")
	p.typed(t, "fg\n")
	p.expect(t, "helper:signals")
	p.typed(t, "once more\n")
	p.expect(t, "read once more")
	p.typed(t, "\x03")
	p.expect(t, "SIGINT")
	p.typed(t, "\x04")
	p.expect(t, "$ ")
	p.typed(t, "exit 5\n")
	p.ends(t, 5)
}

func TestAShellBelowUsHasJobControl(t *testing.T) {
	p := onPty(t, self(t), "helper:supervise", "bash", "--norc", "-i")
	p.expect(t, "$ ")
	p.typed(t, self(t)+" helper:signals\n")
	p.expect(t, "ready")
	p.typed(t, "\x1a")
	p.expect(t, "Stopped")
	p.typed(t, "fg\n")
	p.expect(t, "SIGCONT")
	p.typed(t, "\x03")
	p.expect(t, "SIGINT")
	p.typed(t, "\x04")
	p.expect(t, "$ ")
	p.typed(t, "exit 7\n")
	p.ends(t, 7)
}

// A script that starts us has no job control to take the terminal back with.
func TestTheTerminalIsHandedBack(t *testing.T) {
	p := onPty(t, "/bin/sh", "-c",
		`"$0" helper:supervise "$0" helper:foreground; "$0" helper:foreground; read line; echo "got $line"; exit 3`, self(t))
	p.expect(t, "foreground: true")
	p.expect(t, "foreground: true")
	p.typed(t, "text\n")
	p.expect(t, "got text")
	p.ends(t, 3)
}

// The child has it already where it turns out that it cannot be run.
func TestTheTerminalIsHandedBackByWhatCannotBeRun(t *testing.T) {
	p := onPty(t, "/bin/sh", "-c", `"$0" helper:supervise ./absent; "$0" helper:foreground; read line; echo "got $line"; exit 3`, self(t))
	p.expect(t, "foreground: true")
	p.typed(t, "text\n")
	p.expect(t, "got text")
	p.ends(t, 3)
}

func TestAPipeIsNoTerminalToTakeAway(t *testing.T) {
	p := onPty(t, "/bin/sh", "-c", `echo x | "$0" helper:supervise cat; "$0" helper:foreground`, self(t))
	p.expect(t, "x")
	p.expect(t, "foreground: true")
	p.ends(t, 0)
}

// With `stty tostop` a background process that writes is stopped; we are one.
func TestOurOwnOutputDoesNotStopUs(t *testing.T) {
	p := onPty(t, "/bin/sh", "-c", `stty tostop; "$0" helper:supervise-talking cat`, self(t))
	p.expect(t, "supervisor speaks")
	p.typed(t, "text\n")
	p.expect(t, "text")
	p.typed(t, "\x04")
	p.ends(t, 0)
}
