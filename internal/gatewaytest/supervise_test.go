package gatewaytest_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// A gateway that restarts in place keeps its pid. Readiness must go and come
// back all the same, and the pairing be proven anew.
func TestARestartInPlaceIsNoticed(t *testing.T) {
	t.Parallel()
	for version, restart := range map[string]syscall.Signal{"2026.5.28": syscall.SIGUSR1, "2026.9.6": syscall.SIGUSR2} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			ready := filepath.Join(t.TempDir(), "ready")
			if err := os.WriteFile(ready, []byte("left by an earlier start\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			health := fmt.Sprintf("127.0.0.1:%d", gatewaytest.FreePort(t))
			g := gatewaytest.Start(t, gatewaytest.Options{
				Version: version, StateDir: gatewaytest.CopyState(t, version), Token: "sekret",
				Prefix: []string{gatewaytest.Bootstrap(t), "run", "--handover=supervise", "--ready-file", ready, "--health-listen", health, "--"},
			})
			get := func(path string) int {
				answer, err := http.Get("http://" + health + path)
				if err != nil {
					return 0
				}
				_ = answer.Body.Close()
				return answer.StatusCode
			}
			await(t, "the health address to answer", func() bool { return get("/livez") == 200 })
			if content, err := os.ReadFile(ready); err == nil && strings.HasPrefix(string(content), "left") {
				t.Error("the ready file of an earlier start is still there")
			}
			isReady := func() bool {
				_, err := os.Stat(ready)
				return err == nil && get("/readyz") == 200
			}
			g.WaitOutput(t, saysProven)
			await(t, "readiness", isReady)
			first := must(os.Stat(ready))(t).ModTime()
			g.Signal(t, restart)
			// On 2026.5.28 readiness is gone for 30 ms only; another file shows it.
			await(t, "readiness to go and come back", func() bool {
				again, err := os.Stat(ready)
				return err == nil && again.ModTime().After(first) && isReady()
			})
			// Said a moment after the ready file is there; a third one would be too much.
			proofs := func() int { return strings.Count(g.Output(), "ready: the pairing is proven") }
			await(t, "the second proof's line", func() bool { return proofs() >= 2 })
			if n := proofs(); n != 2 {
				t.Errorf("%d proofs:\n%s", n, g.Output())
			}
			if code := g.Stop(t); code != 0 {
				t.Errorf("the gateway ended with %d", code)
			}
			if _, err := os.Stat(ready); !os.IsNotExist(err) {
				t.Errorf("the ready file outlives the gateway: %v", err)
			}
		})
	}
}

// 2026.9.6 takes no notice of a TERM that comes while it restarts in place: left
// alone it would run on until the runtime kills it.
func TestATermDuringARestartIsNotLost(t *testing.T) {
	t.Parallel()
	for version, restart := range map[string]syscall.Signal{"2026.5.28": syscall.SIGUSR1, "2026.9.6": syscall.SIGUSR2} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.Start(t, gatewaytest.Options{
				Version: version, StateDir: gatewaytest.CopyState(t, version), Token: "sekret",
				Prefix: []string{gatewaytest.Bootstrap(t), "run", "--handover=supervise", "--"},
			})
			g.WaitOutput(t, "ready: the pairing is proven")
			g.Signal(t, restart)
			// Where in the restart the TERM falls is chance; each place must do.
			time.Sleep(rand.N(2 * time.Second))
			if code := g.Stop(t); code != 0 {
				t.Errorf("the gateway ended with %d", code)
			}
		})
	}
}

// await waits for something that is sure to come: only what hangs ends the test.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestAnUnusableStateIsExplained(t *testing.T) {
	t.Parallel()
	// A gateway that nobody has configured ends with 78, which means: do not try
	// again.
	state := gatewaytest.CopyState(t, "2026.9.6")
	if err := os.WriteFile(filepath.Join(state, "openclaw.json"), []byte(`{"plugins":{"enabled":false}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	g := gatewaytest.Start(t, gatewaytest.Options{
		Version: "2026.9.6", StateDir: state, Token: "sekret",
		Prefix: []string{gatewaytest.Bootstrap(t), "run", "--handover=supervise", "--"},
	})
	if code := g.Wait(t, patience); code != 78 {
		t.Errorf("the gateway ended with %d\n%s", code, g.Output())
	}
	if !strings.Contains(g.Output(), "starting it again will not help") {
		t.Errorf("78 is not explained:\n%s", g.Output())
	}
}
