package entrypoint

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/settings"
)

func TestReadinessWantsTheBridgeToReachTheGateway(t *testing.T) {
	var log bytes.Buffer
	target := &pairing.Target{Invocation: pairing.Invocation{Log: zerolog.New(&log)}, Settings: settings.Settings{Bridge: []string{"127.0.0.1:0"}, BundleDir: t.TempDir(), HealthListen: "127.0.0.1:0"}}
	b, err := openBridge(t.Context(), "--bridge", target, bridge.Options{GatewayURL: "ws://127.0.0.1:1"}) // nobody is there
	if err != nil {
		t.Fatal(err)
	}
	ready := &readiness{}
	health, err := (&Entrypoint{Target: target, ready: ready}).listenHealth(b)
	if err != nil {
		t.Fatal(err)
	}
	defer health.close()
	lines := strings.Split(strings.TrimSpace(log.String()), "\n")
	var line struct{ Address string }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &line); err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	get := func() (int, string) {
		answer, err := client.Get("http://" + line.Address + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, string(body)
	}
	if code, body := get(); code != 503 || strings.Contains(body, "bridge") {
		t.Errorf("before the proof: %d %s", code, body)
	}
	if err := ready.prove(probe.Verdict{OK: true, Outcome: probe.OK}); err != nil {
		t.Fatal(err)
	}
	if code, body := get(); code != 503 || !strings.Contains(body, "gateway unreachable") {
		t.Errorf("proven, and the bridge reaches nobody: %d %s", code, body)
	}
	b.serve(target.Log)
	b.drain()
	if code, body := get(); code != 503 || !strings.Contains(body, "the bridge has ended") {
		t.Errorf("with a bridge that has ended: %d %s", code, body)
	}
	b.close() // once more is nothing
}

func TestAGatewayURLLeadsBackToTheBridge(t *testing.T) {
	for _, c := range []struct {
		listen net.IP
		url    string
		back   bool
	}{
		{net.IPv4(127, 0, 0, 1), "ws://127.0.0.1:18790/agent-1", true},
		{net.IPv4(127, 0, 0, 1), "ws://localhost:18790", true},
		{net.IPv4zero, "ws://127.0.0.1:18790", true},
		{net.IPv6unspecified, "wss://[::1]:18790", true},
		{net.IPv4(127, 0, 0, 2), "ws://127.0.0.1:18790", false},
		{net.IPv4(127, 0, 0, 1), "ws://127.0.0.1:18789", false},
		{net.IPv4zero, "ws://192.0.2.1:18790", false},
		{net.IPv4zero, "ws://127.0.0.1", false},
	} {
		if back := pointsAt(t.Context(), c.url, &net.TCPAddr{IP: c.listen, Port: 18790}); back != c.back {
			t.Errorf("%s on %v: %v", c.url, c.listen, back)
		}
	}
	if pointsAt(t.Context(), "ws://127.0.0.1:18790", &net.UnixAddr{Name: "/run/agent-1.sock", Net: "unix"}) {
		t.Error("a Unix socket is no gateway's address")
	}
}
