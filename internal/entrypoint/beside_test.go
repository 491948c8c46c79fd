package entrypoint

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// The gateway boots on a volume with a database, for which the helper waits; the end of
// either ends that.
func TestTheHelperThatWaitsForABootEndsQuietly(t *testing.T) {
	state := t.TempDir()
	if err := os.Mkdir(filepath.Join(state, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "state", "openclaw.sqlite"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	booting := gatewaytest.PretendBoot(t, state)
	ctx, cancel := context.WithCancel(t.Context())
	listen := gateway.Listen{Dial: "127.0.0.1", Port: 1}
	err := Beside(strconv.Itoa(booting.PID)).Prove(ctx, nil, func() (*Entrypoint, error) {
		cancel() // before it waits
		return &Entrypoint{Target: &pairing.Target{Installation: gateway.Installation{StateDir: state, Listen: listen, URL: listen.URL()}}}, nil
	})
	if err != nil {
		t.Errorf("got %v", err)
	}
}
