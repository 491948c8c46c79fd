package gatewaytest_test

import (
	"fmt"
	"testing"

	"go.uber.org/goleak"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestGatewayBootsOnACopiedStateIsReachedFromElsewhereAndStopsWithZero(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.5.28", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			state := gatewaytest.CopyState(t, version)
			remote := gatewaytest.NewRemote(t)
			g := gatewaytest.Start(t, gatewaytest.Options{
				Version: version, StateDir: state, Bind: "lan", Token: "self-test",
			})
			g.WaitReady(t)

			connect := fmt.Sprintf("exec 3<>/dev/tcp/%s/%d", remote.HostAddr, g.Port)
			got := gatewaytest.Run(t, gatewaytest.Command{Argv: []string{"bash", "-c", connect}, In: remote})
			if got.Code != 0 {
				t.Errorf("a TCP connect from %s ended with %d: %s", remote.ClientAddr, got.Code, got.Stderr)
			}

			if code := g.Stop(t); code != 0 {
				t.Errorf("the gateway stopped with exit code %d, not 0", code)
			}
		})
	}
}
