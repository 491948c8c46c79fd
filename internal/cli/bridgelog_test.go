package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
)

func TestTheLogOfABridgeIsNotFilledWhileTheGatewayIsAway(t *testing.T) {
	var out bytes.Buffer
	log := &bridgeLog{app: &app{log: zerolog.New(&out)}}
	for range 100 {
		log.tell(bridge.Event{Kind: bridge.Unreachable, Client: "agent-1", Reason: "connection refused"})
	}
	log.tell(bridge.Event{Kind: bridge.LetIn, Client: "agent-1"})
	log.away = log.away.Add(-awayProgress)
	log.tell(bridge.Event{Kind: bridge.Unreachable, Client: "agent-1"})
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 3 || !strings.Contains(lines[0], "connection refused") || !strings.Contains(lines[1], "let in") || !strings.Contains(lines[2], `"untold":99`) {
		t.Errorf("got:\n%s", out.String())
	}
}
