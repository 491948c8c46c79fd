package protocol

import (
	"context"
	"errors"
	"testing"

	"github.com/coder/websocket"
)

// tellAll sends an event of each name.
func tellAll(ctx context.Context, ws *websocket.Conn, names ...string) {
	for _, name := range names {
		say(ctx, ws, `{"type":"event","event":"`+name+`","payload":{},"seq":7}`)
	}
}

func TestOnlyEventsThatWereNamedAreHeard(t *testing.T) {
	client := dialClient(t, 0, []string{"a", "b"}, func(ctx context.Context, ws *websocket.Conn) {
		tellAll(ctx, ws, "tick", "presence")
		_ = ws.Close(1012, "")
	})
	if err := client.NextEvent(context.Background()); err == nil || endOf(client) == nil {
		t.Errorf("an event was heard: %v", err)
	}
}

func TestEventsBeforeTheEndAreHeardAsOne(t *testing.T) {
	client := dialClient(t, 0, []string{"a", "b"}, func(ctx context.Context, ws *websocket.Conn) {
		tellAll(ctx, ws, "a", "tick", "b", "a")
		_ = ws.Close(1012, "")
	})
	<-client.done
	if err := client.NextEvent(context.Background()); err != nil {
		t.Errorf("no event was heard: %v", err)
	}
	if err := client.NextEvent(context.Background()); err == nil {
		t.Error("after the end one more was heard")
	}
}

func TestWaitForAnEventEndsWithItsContext(t *testing.T) {
	client := dialClient(t, 0, []string{"a"}, echo)
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := client.NextEvent(ctx); !errors.Is(err, context.Canceled) || endOf(client) != nil {
		t.Errorf("error is %v, the connection's %v", err, endOf(client))
	}
}

func TestEventsThatNobodyTakesHoldUpNoCall(t *testing.T) {
	client := dialClient(t, 0, []string{"a"}, func(ctx context.Context, ws *websocket.Conn) {
		for range 1000 {
			tellAll(ctx, ws, "a")
		}
		echo(ctx, ws)
	})
	if got, err := call(client, nil); got != "{}" {
		t.Fatalf("the call was answered %s, %v", got, err)
	}
	if err := client.NextEvent(context.Background()); err != nil {
		t.Errorf("no event was heard: %v", err)
	}
}
