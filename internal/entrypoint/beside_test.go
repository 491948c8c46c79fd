package entrypoint

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// The gateway is a shell under its name, on a volume with a database that it may not
// have made yet.
func TestTheHelperEndsWithAGatewayThatBoots(t *testing.T) {
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state", "openclaw.sqlite"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh")
	cmd.Args, cmd.Env = []string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + state}
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Wait() }()
	for !gateway.Running(state) {
		runtime.Gosched()
	}
	time.AfterFunc(300*time.Millisecond, func() { _ = input.Close() })
	listen := gateway.Listen{Dial: "127.0.0.1", Port: 1}
	err = Beside(strconv.Itoa(cmd.Process.Pid)).Prove(t.Context(), nil, func() (*Entrypoint, error) {
		return &Entrypoint{Target: &pairing.Target{Installation: gateway.Installation{StateDir: state, Listen: listen, URL: listen.URL()}}}, nil
	})
	if err != nil {
		t.Errorf("got %v", err)
	}
}
