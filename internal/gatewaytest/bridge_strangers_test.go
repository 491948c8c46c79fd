package gatewaytest_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/probe"
)

const strangersBridgeToken = "the-bridges-token-for-everybody"

// openBridge is a bridge beside a gateway that other machines reach, with a token
// for everybody.
type openBridge struct {
	*gatewaytest.Gateway
	remote *gatewaytest.Remote
	port   int
	health string
}

func TestABridgeLendsNobodyWhatLoopbackMay(t *testing.T) {
	t.Parallel()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(strangersBridgeToken+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := openBridge{remote: gatewaytest.NewRemote(t), port: gatewaytest.FreePort(t), health: fmt.Sprintf("127.0.0.1:%d", gatewaytest.FreePort(t))}
	b.Gateway = openGateway(t, "2026.9.6", gatewaytest.Bootstrap(t), "run", "--client", "agent-1",
		"--bridge", fmt.Sprintf("0.0.0.0:%d", b.port), "--bridge-token-file", token, "--health-listen", b.health, "--")
	b.WaitOutput(t, saysProven)
	await(t, "readiness", func() bool { return b.readyz(b.health) })
	t.Run("a device from another machine is refused, with the gateway's token too", b.remoteDevice)
	t.Run("those who say nothing stop neither probe nor clients", b.silence)
	t.Run("guesses stay below the gateway's own limit", b.guess)
}

func (b openBridge) readyz(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+address+"/readyz", nil)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == 200
}

// knock is a client with a device of its own and the tokens of gateway and bridge.
func (b openBridge) knock(t *testing.T, host, token string) knock {
	return newKnock(t, "own device", func(k *knock) {
		k.URL, k.Token, k.Bearer = fmt.Sprintf("ws://%s:%d", host, b.port), token, strangersBridgeToken
		k.Scopes = []string{"operator.admin"}
	})
}

func (b openBridge) remoteDevice(t *testing.T) {
	through := b.knock(t, b.remote.HostAddr, approveToken)
	straight := b.knock(t, b.remote.HostAddr, approveToken)
	straight.URL, straight.Bearer = b.remote.URL(b.Gateway), ""
	got := knockAt(t, b.remote, through, straight)
	if got[1].OK || got[1].Outcome != probe.NotPaired {
		t.Fatalf("straight to the gateway: %+v", got[1])
	}
	if got[0].OK || got[0].Refusal == nil || !strings.Contains(got[0].Message, "passed on from this machine only") {
		t.Errorf("through the bridge: %+v", got[0])
	}
	// On this machine it would be let in without the bridge as well.
	if got := knockAt(t, nil, b.knock(t, "127.0.0.1", approveToken)); !got[0].OK {
		t.Errorf("on this machine: %+v", got[0])
	}
}

func (b openBridge) guess(t *testing.T) {
	var knocks []knock
	for range 40 {
		knocks = append(knocks, b.knock(t, "127.0.0.1", "a-guess-at-the-gateways-token"))
	}
	judged, held := 0, 0
	for _, verdict := range knockAt(t, nil, knocks...) {
		switch {
		case verdict.OK:
			t.Fatal("a guess was right")
		case verdict.Refusal != nil && verdict.Refusal.DetailCode == "AUTH_TOKEN_MISMATCH":
			judged++
		case strings.Contains(verdict.Message, "has failed too often"):
			held++
		default:
			t.Errorf("got %+v", verdict)
		}
	}
	if judged < 5 || judged >= 10 || judged+held != 40 {
		t.Errorf("the gateway judged %d of 40, the bridge held off %d", judged, held)
	}
}

// silence opens more upgrades than the gateway takes of an address, from two
// addresses, with and without a token, and says nothing on them.
func (b openBridge) silence(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var opened atomic.Int32
	var all sync.WaitGroup
	for _, from := range []struct {
		host   string
		header http.Header
	}{
		{b.remote.HostAddr, nil},
		{"127.0.0.1", nil},
		{"127.0.0.1", http.Header{"Authorization": {"Bearer " + strangersBridgeToken}}},
	} {
		for range 70 {
			all.Go(func() {
				ws, _, err := websocket.Dial(ctx, fmt.Sprintf("ws://%s:%d/agent-1", from.host, b.port), &websocket.DialOptions{HTTPHeader: from.header})
				if err != nil {
					return // one too many
				}
				opened.Add(1)
				for err == nil { // the challenge, where its turn comes
					_, _, err = ws.Read(ctx)
				}
				_ = ws.CloseNow()
			})
		}
	}
	await(t, "the crowd", func() bool { return opened.Load() >= 100 })
	for i := range 5 {
		probed := gatewaytest.RunBootstrap(t, gatewaytest.Command{
			Argv: []string{"probe", "--state-dir", b.StateDir, "--gateway-url", b.URL, "--json"},
		})
		if probed.Code != 0 {
			t.Errorf("probe %d ended with %d: %s%s", i, probed.Code, probed.Stdout, probed.Stderr)
		}
		if !b.readyz(b.health) || !b.readyz(fmt.Sprintf("127.0.0.1:%d", b.port)) {
			t.Errorf("unready %d", i)
		}
	}
	c := visitBridgeWith(t, fmt.Sprintf("ws://127.0.0.1:%d/agent-1", b.port), nil, strangersBridgeToken)
	if c.refused.Code != 0 || !c.may("models.list") {
		t.Errorf("a client with its token: %v", c.refused)
	}
	cancel()
	all.Wait()
}
