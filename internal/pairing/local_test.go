package pairing

import (
	"bytes"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// The gateway is a shell under its name; what it makes is no database yet, and whoever
// opens it fails over it.
func TestTheDatabaseOfAGatewayThatBootsIsLeftAlone(t *testing.T) {
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state", "openclaw.sqlite"), []byte("half of a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	listen := gateway.Listen{Dial: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
	target := &Target{Installation: gateway.Installation{StateDir: state, Listen: listen, URL: listen.URL()}}
	target.OwnCommand = func(string, ...string) string { return "bootstrap" }

	end := bootOn(t, state)
	if _, err := target.AwaitCredentials(t.Context(), true, time.Hour); err == nil || errors.As(err, new(*RefusedError)) {
		t.Errorf("a gateway that listens has a database that can be read: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	refused := (*RefusedError)(nil)
	if _, err := target.AwaitCredentials(t.Context(), true, 2*credentialsPoll); !errors.As(err, &refused) ||
		refused.Verdict.Outcome != probe.Unreachable || !strings.Contains(refused.Verdict.Message, "boots") {
		t.Errorf("got %v", err)
	}
	if err := target.Booting(t.Context()); !errors.As(err, &refused) {
		t.Errorf("got %v", err)
	}

	end()
	for name, open := range map[string]func() error{
		"a reader": func() error { _, err := target.Plan(t.Context(), Wishes{}); return err },
		"a writer": func() error { _, err := target.Pair(t.Context(), Wishes{}); return err },
	} {
		t.Run(name+" waits until it has ended", func(t *testing.T) {
			waited := false
			end := bootOn(t, state)
			target.Log = zerolog.New(writes(func(line []byte) {
				waited = waited || bytes.Contains(line, []byte("a gateway boots here"))
				end()
			}))
			if err := open(); !errors.As(err, new(*seed.StoreError)) || !waited {
				t.Errorf("waited: %v, then %v", waited, err)
			}
		})
	}
}

// The port that the settings name is another gateway's, and this one's is in its command
// alone.
func TestAnotherGatewayDoesNotAnswerForOneThatBoots(t *testing.T) {
	state, other := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state", "openclaw.sqlite"), []byte("half of a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	file, err := listener.(*net.TCPListener).File()
	if err != nil {
		t.Fatal(err)
	}
	bootOn(t, other, file)
	listen := gateway.Listen{Dial: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port}
	for _, end := range []func() error{listener.Close, file.Close} {
		if err := end(); err != nil { // it is the shell's alone now
			t.Fatal(err)
		}
	}
	target := &Target{Installation: gateway.Installation{StateDir: state, Listen: listen, URL: listen.URL()}}
	target.OwnCommand = func(string, ...string) string { return "bootstrap" }
	bootOn(t, state)
	if _, err := target.AwaitCredentials(t.Context(), true, 2*credentialsPoll); !errors.As(err, new(*RefusedError)) {
		t.Errorf("got %v", err)
	}
}

// bootOn starts a process that looks like a gateway which boots, until end is called; with
// a socket among its files it listens.
func bootOn(t *testing.T, state string, files ...*os.File) (end func()) {
	t.Helper()
	cmd := exec.Command("/bin/sh")
	cmd.Args, cmd.Env, cmd.ExtraFiles = []string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + state}, files
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	end = sync.OnceFunc(func() { _ = input.Close(); _ = cmd.Wait() })
	t.Cleanup(end)
	for !gateway.Running(state) { // the kernel lays out its environment last
		runtime.Gosched()
	}
	return end
}

// writes is a writer that hands each line on.
type writes func(line []byte)

func (w writes) Write(line []byte) (int, error) {
	w(line)
	return len(line), nil
}
