package gateway_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
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
			pid := gatewaytest.Pretend(t, argv, test.env).PID
			if got := gateway.Running(state); got != test.want {
				t.Errorf("seen: %v, want %v", got, test.want)
			}
			if serving, found := gateway.Serving(state); found && (!serving.Boots || serving.PID != pid || serving.Port != test.port) {
				t.Errorf("got %+v, want one that boots, pid %d and port %d", serving, pid, test.port)
			}
		})
	}
	if gateway.Running(filepath.Join(state, "missing")) {
		t.Error("a directory that is not there is served")
	}
}

// The shell has the gateway's socket. A process without one, such as the CLI, which has
// the gateway's title, does not hide it.
func TestAGatewayThatListensHasItsPort(t *testing.T) {
	state := t.TempDir()
	gatewaytest.PretendBoot(t, state)
	serving, port := gatewaytest.PretendServe(t, "::1", "OPENCLAW_STATE_DIR="+state)
	gatewaytest.PretendBoot(t, state)
	if got, running := gateway.Serving(state); !running || got != (gateway.Process{PID: serving.PID, Port: port}) {
		t.Errorf("got %+v %v, want pid %d and port %d", got, running, serving.PID, port)
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
		_, port := gatewaytest.PretendServe(t, "127.0.0.1", env)
		if got := gateway.ServedElsewhere(port, state); got != want {
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
	child, started, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := gatewaytest.Pretend(t, []string{"openclaw"}, []string{"OPENCLAW_STATE_DIR=" + state, "PATH=" + programs}, started)
	if !gateway.Running(state) {
		t.Fatalf("pid %d is not seen", p.PID)
	}
	if _, err := fmt.Fprintln(p.Input, "openclaw-logs -c 'echo >&3; read line'"); err != nil {
		t.Fatal(err)
	}
	if _, err := child.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if gateway.Running(state) {
		t.Error("it is taken for a gateway that boots")
	}
}
