package protocol

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/coder/websocket"
)

func TestEventsComeInOrderAndOnlyThoseNamed(t *testing.T) {
	client := dialClient(t, 0, []string{"a", "b"}, func(ctx context.Context, ws *websocket.Conn) {
		for _, event := range []string{"a", "tick", "b", "presence", "a"} {
			say(ctx, ws, `{"type":"event","event":"`+event+`","payload":{"of":"`+event+`"},"seq":7}`)
		}
		_ = ws.Close(1012, "")
	})
	for _, want := range []string{"a", "b", "a"} {
		event, err := client.NextEvent(context.Background())
		if err != nil || event.Name != want || string(event.Payload) != `{"of":"`+want+`"}` || event.Missed != 0 {
			t.Errorf("got %+v, %v", event, err)
		}
	}
	if _, err := client.NextEvent(context.Background()); err == nil || endOf(client) == nil {
		t.Errorf("after the end: %v", err)
	}
}

func TestWaitForAnEventEndsWithItsContext(t *testing.T) {
	client := dialClient(t, 0, []string{"a"}, echo)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := client.NextEvent(ctx); !errors.Is(err, context.Canceled) || endOf(client) != nil {
		t.Errorf("error is %v, the connection's %v", err, endOf(client))
	}
}

func TestNothingPilesUpBehindASlowReader(t *testing.T) {
	const sent = 1000
	for name, test := range map[string]struct {
		size int
		most int
	}{
		"many small events": {10, maxQueuedEvents},
		"some large events": {maxQueuedBytes / 4, 4},
		"too large events":  {2 * maxQueuedBytes, 1},
	} {
		t.Run(name, func(t *testing.T) {
			queue := newEventQueue([]string{"a"})
			padding := strings.Repeat("x", test.size-2)
			for n := range sent {
				queue.push(Event{Name: "a", Payload: []byte(`"` + padding + `"`)})
				if len(queue.queue) > test.most || cap(queue.queue) > 4*maxQueuedEvents {
					t.Fatalf("after %d events %d are kept in room for %d", n+1, len(queue.queue), cap(queue.queue))
				}
			}
			missed, got := 0, 0
			for {
				event, ok, _ := queue.pop()
				if !ok {
					break
				}
				if got > 0 && event.Missed != 0 {
					t.Errorf("event %d says %d were missed", got, event.Missed)
				}
				missed += event.Missed
				got++
			}
			if got != test.most || got+missed != sent {
				t.Errorf("got %d, missed %d", got, missed)
			}
		})
	}
}

func TestSlowReaderOfEventsHoldsUpNoCall(t *testing.T) {
	const sent = 3 * maxQueuedEvents
	client := dialClient(t, 0, []string{"a"}, func(ctx context.Context, ws *websocket.Conn) {
		for n := range sent {
			say(ctx, ws, fmt.Sprintf(`{"type":"event","event":"a","payload":%d}`, n))
		}
		echo(ctx, ws)
	})
	if got, err := call(client, nil); got != "{}" {
		t.Fatalf("the call was answered %s, %v", got, err)
	}
	event, err := client.NextEvent(context.Background())
	if err != nil || event.Missed != sent-maxQueuedEvents || string(event.Payload) != fmt.Sprint(event.Missed) {
		t.Errorf("got %+v, %v", event, err)
	}
}
