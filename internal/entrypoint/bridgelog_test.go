package entrypoint

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
)

// earlier puts back when everything was logged last.
func (a *bridgeLog) earlier(by time.Duration) {
	for _, r := range a.throttles {
		r.logged = r.logged.Add(-by)
	}
}

func TestTheLogOfABridgeIsNotFilledWhileTheGatewayIsAway(t *testing.T) {
	var out bytes.Buffer
	log := &bridgeLog{log: zerolog.New(&out)}
	for range 100 {
		log.logEvent(bridge.Event{Kind: bridge.Unreachable, Client: "agent-1", Reason: "connection refused"})
	}
	log.logEvent(bridge.Event{Kind: bridge.LetIn, Client: "agent-1"})
	log.earlier(awayProgress)
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
		log.earlier(strangerProgress)
		log.logEvent(bridge.Event{Kind: kind})
	}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 4 || !strings.Contains(lines[0], "no connect request came") || !strings.Contains(lines[0], "192.0.2.7") ||
		!strings.Contains(lines[1], "turned away") || !strings.Contains(lines[2], `"untold":69`) || !strings.Contains(lines[3], `"untold":8`) {
		t.Errorf("got:\n%s", out.String())
	}
}

// A client whose device was removed comes again each second, until somebody stops it.
func TestARefusalIsLoggedOnceAMinuteForEachClientAndReason(t *testing.T) {
	var out bytes.Buffer
	log := &bridgeLog{log: zerolog.New(&out)}
	refused := func(client, remote, reason string) {
		log.logEvent(bridge.Event{Kind: bridge.Refused, Client: client, Remote: remote, Reason: reason, Hint: "bootstrap seed"})
	}
	for i := range 60 {
		refused("agent-1", fmt.Sprintf("192.0.2.7:%d", 1024+i), "it was removed")
		refused("agent-1", fmt.Sprintf("uid 1000, pid %d", i), "it was removed")
	}
	refused("agent-2", "192.0.2.7:1", "it was removed")
	refused("agent-1", "192.0.2.7:1", "the bridge token is missing or wrong")
	refused("agent-1", "192.0.2.8:1", "it was removed")
	// What is to be typed may be another command by then.
	log.logEvent(bridge.Event{Kind: bridge.Refused, Client: "agent-1", Remote: "192.0.2.7:1", Reason: "it was removed", Hint: "bootstrap approve request-2"})
	log.earlier(strangerProgress)
	refused("agent-1", "192.0.2.7:1", "it was removed")
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 7 || !strings.Contains(lines[0], `"hint":"bootstrap seed"`) || !strings.Contains(lines[0], "bridge: refused") || !strings.Contains(lines[6], `"untold":59`) {
		t.Errorf("got:\n%s", out.String())
	}

	// Nor does who asks for names without end fill the log, or the memory.
	out.Reset()
	for i := range 10_000 {
		refused(fmt.Sprintf("name-%d", i), "192.0.2.7:1", "unknown client")
	}
	if lines := strings.Count(out.String(), "\n"); lines > maxOccasions || len(log.throttles) > maxOccasions+1 {
		t.Errorf("%d lines, %d occasions", lines, len(log.throttles))
	}
}
