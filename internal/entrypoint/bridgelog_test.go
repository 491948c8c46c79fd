package entrypoint

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
)

func TestTheLogOfABridgeIsNotFilledWhileTheGatewayIsAway(t *testing.T) {
	var out bytes.Buffer
	log := &bridgeLog{log: zerolog.New(&out)}
	for range 100 {
		log.logEvent(bridge.Event{Kind: bridge.Unreachable, Client: "agent-1", Reason: "connection refused"})
	}
	log.logEvent(bridge.Event{Kind: bridge.LetIn, Client: "agent-1"})
	log.throttles[bridge.Unreachable].logged = log.throttles[bridge.Unreachable].logged.Add(-awayProgress)
	log.logEvent(bridge.Event{Kind: bridge.Unreachable, Client: "agent-1"})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[1], "let in") || !strings.Contains(lines[2], `"untold":99`) {
		t.Errorf("got:\n%s", out.String())
	}
}

func TestSilenceIsLoggedOnceAMinuteAndCounted(t *testing.T) {
	var out bytes.Buffer
	log := &bridgeLog{log: zerolog.New(&out)}
	for range 70 {
		log.logEvent(bridge.Event{Kind: bridge.Silent, Client: "agent-1", Remote: "192.0.2.7:5", Reason: "no connect request came"})
	}
	for range 9 {
		log.logEvent(bridge.Event{Kind: bridge.Full, Remote: "192.0.2.7:5", Reason: "there is no room"})
	}
	for _, kind := range []bridge.EventKind{bridge.Silent, bridge.Full} {
		log.throttles[kind].logged = log.throttles[kind].logged.Add(-strangerProgress)
		log.logEvent(bridge.Event{Kind: kind})
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], "no connect request came") || !strings.Contains(lines[0], "192.0.2.7") ||
		!strings.Contains(lines[1], "turned away") || !strings.Contains(lines[2], `"untold":69`) || !strings.Contains(lines[3], `"untold":8`) {
		t.Errorf("got:\n%s", out.String())
	}
}
