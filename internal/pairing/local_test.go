package pairing

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/probe"
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

	cmd := exec.Command("/bin/sh")
	cmd.Args, cmd.Env = []string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + state}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = input.Close(); _ = cmd.Wait() }()
	for !gateway.Running(state) { // the kernel lays out its environment last
		runtime.Gosched()
	}

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
}
