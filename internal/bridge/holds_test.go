package bridge

import (
	"fmt"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// A gateway locks an address out after ten failures in a minute, whosever they are.
func TestClientsThatFailStayBelowTheGatewaysLimitTogether(t *testing.T) {
	unpaired := gatewayRefusal{protocol.Refusal{Kind: protocol.DeviceToken}}
	var h holds
	start := time.Now()
	tries := map[int]int{} // of each client
	var at []time.Time
	for second := range 600 {
		now := start.Add(time.Duration(second) * time.Second)
		var asking []client
		for i := range 9 {
			c := client{name: fmt.Sprint("removed-", i), token: deviceToken}
			if held, reason := h.held(c, true, now); !held {
				asking = append(asking, c) // all at once: no answer has come yet
				tries[i]++
				at = append(at, now)
			} else if reason != "not paired" {
				t.Fatalf("held off for %q", reason)
			}
		}
		for _, c := range asking {
			h.hold(c, unpaired, "not paired", now)
		}
		if held, _ := h.held(client{name: "paired", token: deviceToken}, true, now); held {
			t.Fatalf("a client that has not failed is held off after %d s", second)
		}
	}
	for i := range at {
		if i+9 < len(at) && at[i+9].Sub(at[i]) < time.Minute {
			t.Fatalf("ten failures from %v to %v", at[i].Sub(start), at[i+9].Sub(start))
		}
	}
	if len(at) < 60 || len(tries) != 9 {
		t.Errorf("in ten minutes so many tries: %v", tries)
	}
	// Only asking costs something; a new token, or one that is taken, is tried at once.
	late := start.Add(time.Hour)
	one := client{name: "removed-1", token: deviceToken}
	for range 20 {
		if held, _ := h.held(one, false, late); held {
			t.Fatal("held off an hour later")
		}
	}
	for range 7 {
		h.held(one, true, late)
	}
	if held, _ := h.held(one, true, late); !held {
		t.Error("an eighth try was not held off")
	}
	if held, _ := h.held(client{name: "removed-1", token: "another"}, true, late); held {
		t.Error("a new token is held off")
	}
	h.taken(one)
	if held, _ := h.held(one, true, late); held {
		t.Error("a client that was let in is held off")
	}
}

// Those that were refused while a store was away are let in again as soon as it is back, and
// tries that a gateway does not answer are no refusals.
func TestClientsThatAreTakenAgainHoldNobodyOff(t *testing.T) {
	unpaired := gatewayRefusal{protocol.Refusal{Kind: protocol.DeviceToken}}
	var h holds
	start := time.Now()
	clients := make([]client, 30)
	for i := range clients {
		clients[i] = client{name: fmt.Sprint("agent-", i), token: deviceToken}
		h.hold(clients[i], unpaired, "not paired", start)
	}
	later := start.Add(2 * time.Minute)
	for range 20 {
		if held, _ := h.held(clients[0], true, later); held {
			t.Fatal("held off by tries without an answer")
		}
		h.passes(clients[0])
	}
	for _, c := range clients {
		if held, _ := h.held(c, true, later); held {
			t.Fatalf("%s is held off, though nobody has failed since", c.name)
		}
		h.taken(c)
	}
}
