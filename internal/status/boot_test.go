package status

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// A gateway makes its database at any moment, between two looks at it too: nobody opens
// it meanwhile, or waits. This one is no database yet, and whoever opens it fails over it.
func TestAStatusOpensNoDatabaseThatAppears(t *testing.T) {
	state := t.TempDir()
	booting := gatewaytest.PretendBoot(t, state)
	file := filepath.Join(state, "state", "openclaw.sqlite")
	if err := os.Mkdir(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, done := context.WithCancel(t.Context())
	var making sync.WaitGroup
	making.Go(func() {
		for ctx.Err() == nil {
			if err := os.WriteFile(file, []byte("half of a database"), 0o600); err != nil {
				t.Error(err)
			}
			if err := os.Remove(file); err != nil {
				t.Error(err)
			}
		}
	})
	defer making.Wait()
	defer done()
	listen := gateway.Listen{Dial: "127.0.0.1", Port: 1}
	target := &pairing.Target{
		Installation: gateway.Installation{StateDir: state, Listen: listen, URL: listen.URL()},
		Invocation:   pairing.Invocation{OwnCommand: func(string, ...string) string { return "bootstrap" }},
	}
	target.Log = zerolog.New(zerolog.TestWriter{T: t}).Hook(zerolog.HookFunc(func(*zerolog.Event, zerolog.Level, string) {
		t.Error("waits")
		booting.End()
	}))
	left := 0
	for tries := 0; !t.Failed() && left < 20; tries++ {
		if tries == 10_000 {
			t.Fatal("the boot is never seen")
		}
		for _, finding := range Of(t.Context(), target, time.Now()).Findings {
			switch {
			case strings.Contains(finding.What, "boots"):
				left++
			case strings.Contains(finding.What, "openclaw.sqlite"):
				t.Error("opened: ", finding.What)
			}
		}
	}
}
