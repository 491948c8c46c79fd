package pairing

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/seed"
)

// The gateway is a shell under its name; what it makes is no database yet, and whoever
// opens it fails over it.
func TestTheDatabaseOfAGatewayThatBootsIsLeftAlone(t *testing.T) {
	state := halfMade(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	target := targetAt(state, listener.Addr().(*net.TCPAddr).Port)

	booting := gatewaytest.PretendBoot(t, state)
	if _, err := target.AwaitCredentials(t.Context(), true, time.Hour); err == nil || errors.As(err, new(*seed.BootingError)) {
		t.Errorf("a gateway that listens has a database that can be read: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := target.AwaitCredentials(t.Context(), true, 2*credentialsPoll); !errors.As(err, new(*seed.BootingError)) {
		t.Errorf("got %v", err)
	}

	booting.End()
	for name, open := range map[string]func() error{
		"a reader": func() error { _, err := target.Plan(t.Context(), Wishes{}); return err },
		"a writer": func() error { _, err := target.Pair(t.Context(), Wishes{}); return err },
	} {
		t.Run(name+" waits until it has ended", func(t *testing.T) {
			waited := false
			booting := gatewaytest.PretendBoot(t, state)
			target.Log = zerolog.New(writes(func(line []byte) {
				waited = waited || bytes.Contains(line, []byte("a gateway boots here"))
				booting.End()
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
	state := halfMade(t)
	_, port := gatewaytest.PretendServe(t, "127.0.0.1", "OPENCLAW_STATE_DIR="+t.TempDir())
	gatewaytest.PretendBoot(t, state)
	target := targetAt(state, port)
	if _, err := target.AwaitCredentials(t.Context(), true, 2*credentialsPoll); !errors.As(err, new(*seed.BootingError)) {
		t.Errorf("got %v", err)
	}
}

// halfMade is a state directory with the beginning of a database, over which whoever opens
// it fails.
func halfMade(t *testing.T) (state string) {
	t.Helper()
	state = t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state", "openclaw.sqlite"), []byte("half of a database"), 0o600); err != nil {
		t.Fatal(err)
	}
	return state
}

// targetAt is the target of a state directory whose settings name a port of loopback.
func targetAt(state string, port int) *Target {
	listen := gateway.Listen{Dial: "127.0.0.1", Port: port}
	target := &Target{Installation: gateway.Installation{StateDir: state, Listen: listen, URL: listen.URL()}}
	target.OwnCommand = func(string, ...string) string { return "bootstrap" }
	return target
}

// writes is a writer that hands each line on.
type writes func(line []byte)

func (w writes) Write(line []byte) (int, error) {
	w(line)
	return len(line), nil
}
