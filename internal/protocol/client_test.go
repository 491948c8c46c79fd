package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// dialClient shakes hands with a fake gateway that then does as told.
func dialClient(t *testing.T, tick time.Duration, events []string, handle func(ctx context.Context, ws *websocket.Conn)) *Client {
	t.Helper()
	url := serve(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, challengeFrame)
		_, _, _ = ws.Read(ctx)
		say(ctx, ws, fmt.Sprintf(`{"type":"res","id":"connect","ok":true,"payload":{"type":"hello-ok","policy":{"tickIntervalMs":%d}}}`, tick.Milliseconds()))
		handle(ctx, ws)
	})
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := Dial(ctx, DialOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Handshake(ctx, conn, ConnectRequest{}); err != nil {
		t.Fatal(err)
	}
	client := NewClient(conn, events...)
	t.Cleanup(client.Close)
	return client
}

func hear(ctx context.Context, ws *websocket.Conn) (frame Frame, ok bool) {
	_, data, err := ws.Read(ctx)
	return frame, err == nil && json.Unmarshal(data, &frame) == nil
}

// echo answers every request with its parameters.
func echo(ctx context.Context, ws *websocket.Conn) {
	for {
		frame, ok := hear(ctx, ws)
		if !ok {
			return
		}
		answer(ctx, ws, frame.ID, string(frame.Params))
	}
}

func answer(ctx context.Context, ws *websocket.Conn, id, payload string) {
	say(ctx, ws, `{"type":"res","id":"`+id+`","ok":true,"payload":`+payload+`}`)
}

func call(client *Client, params any) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	payload, err := client.Call(ctx, "m", params)
	return string(payload), err
}

// closeKind sorts the error of a connection that ended.
func closeKind(err error) (code int, kind TransportKind) {
	var closed *CloseError
	var transport *TransportError
	errors.As(err, &closed)
	errors.As(err, &transport)
	if closed != nil {
		code = closed.Code
	}
	if transport != nil {
		kind = transport.Kind
	}
	return code, kind
}

func TestAnswersOutOfOrderReachTheirCallers(t *testing.T) {
	const calls = 50
	client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
		var frames []Frame
		for range calls {
			frame, _ := hear(ctx, ws)
			frames = append([]Frame{frame}, frames...)
		}
		for _, frame := range frames {
			answer(ctx, ws, frame.ID, string(frame.Params))
		}
		_, _ = hear(ctx, ws)
	})
	var all sync.WaitGroup
	for n := range calls {
		all.Go(func() {
			if got, err := call(client, []int{n}); got != fmt.Sprintf("[%d]", n) {
				t.Errorf("call %d was answered %s, %v", n, got, err)
			}
		})
	}
	all.Wait()
}

func TestAnswersToNobodyAndUnknownFramesAreDropped(t *testing.T) {
	client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
		first, _ := hear(ctx, ws)
		for _, frame := range []string{
			`{"type":"res","id":"never-asked","ok":true}`, `{"type":"res","ok":true}`, `{"type":"res","id":"connect","ok":true}`,
			`{"type":"event"}`, `{"type":"future","id":"` + first.ID + `"}`, `{"type":"req","id":"` + first.ID + `","method":"x"}`,
		} {
			say(ctx, ws, frame)
		}
		answer(ctx, ws, first.ID, `"first"`)
		answer(ctx, ws, first.ID, `"again"`)
		echo(ctx, ws)
	})
	if got, err := call(client, nil); got != `"first"` {
		t.Errorf("the first call was answered %s, %v", got, err)
	}
	if got, err := call(client, map[string]int{"n": 2}); got != `{"n":2}` {
		t.Errorf("the second call was answered %s, %v", got, err)
	}
}

func TestCallWithoutParametersSendsAnEmptyObject(t *testing.T) {
	client := dialClient(t, 0, nil, echo)
	if got, err := call(client, nil); got != "{}" {
		t.Errorf("it sent %s, %v", got, err)
	}
	if _, err := call(client, func() {}); err == nil || endOf(client) != nil {
		t.Errorf("parameters that are no JSON give %v, the connection %v", err, endOf(client))
	}
}

func TestCallThatIsGivenUpLeavesTheConnectionUsable(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
		first, _ := hear(ctx, ws)
		cancel()
		second, _ := hear(ctx, ws)
		answer(ctx, ws, first.ID, `"late"`)
		answer(ctx, ws, second.ID, `"second"`)
		_, _ = hear(ctx, ws)
	})
	if _, err := client.Call(ctx, "m", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("the first call ended with %v", err)
	}
	if _, err := client.Call(ctx, "m", nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a call by a context that has ended gives %v", err)
	}
	if got, err := call(client, nil); got != `"second"` {
		t.Errorf("the second call was answered %s, %v", got, err)
	}
	client.mu.Lock()
	defer client.mu.Unlock()
	if len(client.pending) != 0 {
		t.Errorf("%d calls are still remembered", len(client.pending))
	}
}

func TestEndOfTheConnectionReachesEveryCaller(t *testing.T) {
	for name, test := range map[string]struct {
		end  func(ctx context.Context, ws *websocket.Conn)
		code int
		kind TransportKind
	}{
		"closed by the gateway": {func(_ context.Context, ws *websocket.Conn) { _ = ws.Close(1012, "gateway shutting down") }, 1012, ""},
		"cut":                   {func(_ context.Context, ws *websocket.Conn) { _ = ws.CloseNow() }, 0, Lost},
		"a binary frame": {func(ctx context.Context, ws *websocket.Conn) {
			_ = ws.Write(ctx, websocket.MessageBinary, []byte(`{"type":"event"}`))
		}, 0, NotGateway},
		"a frame that is no JSON": {func(ctx context.Context, ws *websocket.Conn) { say(ctx, ws, "{") }, 0, NotGateway},
	} {
		t.Run(name, func(t *testing.T) {
			const calls = 8
			client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
				for range calls {
					_, _ = hear(ctx, ws)
				}
				test.end(ctx, ws)
				_, _ = hear(ctx, ws)
			})
			var all sync.WaitGroup
			for range calls {
				all.Go(func() {
					_, err := call(client, nil)
					if code, kind := closeKind(err); code != test.code || kind != test.kind {
						t.Errorf("a waiting call ended with %v", err)
					}
				})
			}
			all.Wait()
			<-client.done
			for what, err := range map[string]error{"Err": endOf(client), "a later call": second(call(client, nil)), "NextEvent": client.NextEvent(context.Background())} {
				if code, kind := closeKind(err); code != test.code || kind != test.kind {
					t.Errorf("%s says %v", what, err)
				}
			}
		})
	}
}

func second[T any](_ T, err error) error { return err }

func TestAnswerRightBeforeTheEndIsNotLost(t *testing.T) {
	for range 20 {
		client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
			frame, _ := hear(ctx, ws)
			answer(ctx, ws, frame.ID, "1")
			_ = ws.Close(1012, "")
		})
		if got, err := call(client, nil); got != "1" {
			t.Fatalf("the call was answered %q, %v", got, err)
		}
	}
}

func TestCloseEndsWaitingCallsAndMayFollowTheEnd(t *testing.T) {
	asked := make(chan struct{})
	client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
		_, _ = hear(ctx, ws)
		close(asked)
		_, _ = hear(ctx, ws)
	})
	ended := make(chan error)
	go func() { ended <- second(call(client, nil)) }()
	<-asked
	if err := endOf(client); err != nil {
		t.Errorf("before the end Err says %v", err)
	}
	client.Close()
	if _, kind := closeKind(<-ended); kind != Canceled {
		t.Errorf("the waiting call ended otherwise: %v", endOf(client))
	}
	client.Close()
	if _, kind := closeKind(second(call(client, nil))); kind != Canceled {
		t.Errorf("a later call ends otherwise: %v", endOf(client))
	}
}

func TestSilentConnectionIsGivenUp(t *testing.T) {
	client := dialClient(t, 10*time.Millisecond, nil, func(ctx context.Context, ws *websocket.Conn) { _, _ = hear(ctx, ws) })
	<-client.done
	if _, kind := closeKind(endOf(client)); kind != Timeout || !strings.Contains(endOf(client).Error(), "nothing came from it for 30ms") {
		t.Errorf("error is %v", endOf(client))
	}
}

func TestManyCallersMayRaceTheEnd(t *testing.T) {
	client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
		for range 100 {
			frame, _ := hear(ctx, ws)
			answer(ctx, ws, frame.ID, "1")
		}
		_ = ws.CloseNow()
	})
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			for {
				if _, err := call(client, nil); err != nil {
					return
				}
			}
		})
	}
	all.Wait()
}

func TestRefusedCallSaysWhy(t *testing.T) {
	for name, test := range map[string]struct {
		error, text, scope string
	}{
		"missing scope":        {`{"code":"INVALID_REQUEST","message":"missing scope: operator.admin"}`, "gateway refused m: missing scope: operator.admin", "operator.admin"},
		"unknown id":           {`{"code":"INVALID_REQUEST","message":"unknown requestId","details":[]}`, "gateway refused m: unknown requestId", ""},
		"no reason":            {`{"code":"UNAVAILABLE","retryable":true,"retryAfterMs":500}`, "gateway refused m without a reason (UNAVAILABLE)", ""},
		"no error at all":      {`null`, "gateway refused m without a reason ()", ""},
		"control characters":   {`{"message":"a\u001b[31m\nb"}`, "gateway refused m: a[31m b", ""},
		"scope, then more":     {`{"message":"missing scope: operator.read (ask)"}`, "gateway refused m: missing scope: operator.read (ask)", "operator.read"},
		"fields of other type": {`{"code":1,"message":"x","retryAfterMs":"5","details":"d"}`, "gateway refused m: x", ""},
	} {
		t.Run(name, func(t *testing.T) {
			client := dialClient(t, 0, nil, func(ctx context.Context, ws *websocket.Conn) {
				frame, _ := hear(ctx, ws)
				say(ctx, ws, `{"type":"res","id":"`+frame.ID+`","ok":false,"error":`+test.error+`}`)
				_, _ = hear(ctx, ws)
			})
			_, err := call(client, nil)
			var refused *RPCError
			if !errors.As(err, &refused) {
				t.Fatalf("error is %v", err)
			}
			if refused.Error() != test.text || refused.MissingScope() != test.scope {
				t.Errorf("got %q, scope %q, %+v", refused.Error(), refused.MissingScope(), refused)
			}
		})
	}
}

// FuzzClient feeds one frame to a client that waits for an answer and events.
func FuzzClient(f *testing.F) {
	f.Add([]byte(`{"type":"res","id":"rpc-1","ok":true,"payload":{"pending":[],"paired":[]}}`))
	f.Add([]byte(`{"type":"res","id":"rpc-1","ok":false,"error":{"code":"INVALID_REQUEST","message":"missing scope: operator.admin","details":{"code":"X","reason":"y"},"retryable":true,"retryAfterMs":1e9}}`))
	f.Add([]byte(`{"type":"event","event":"device.pair.requested","payload":{"requestId":"a"},"seq":1,"stateVersion":{"presence":1}}`))
	f.Add([]byte(`{"type":"event","event":"tick","payload":{"ts":1795372952352}}`))
	f.Add([]byte(`{"type":"res","id":"rpc-2"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := ParseFrame(data)
		if err != nil {
			return
		}
		client := &Client{events: []string{"device.pair.requested"}, heard: make(chan struct{}, 1), pending: map[string]chan<- Frame{}}
		id, answered := client.expect()
		client.dispatch(frame)
		client.dispatch(frame)
		if heard := len(client.heard) == 1; heard != (frame.Type == TypeEvent && frame.Event == "device.pair.requested") {
			t.Fatalf("heard is %v", heard)
		}
		if got := len(answered) == 1; got != (frame.Type == TypeResponse && frame.ID == id) {
			t.Fatalf("answered is %v", got)
		}
		if len(answered) == 0 {
			return
		}
		payload, err := result("m", <-answered)
		var refused *RPCError
		if (err == nil) != frame.OK || err != nil && !errors.As(err, &refused) {
			t.Fatalf("payload %s, error %v", payload, err)
		}
		if err != nil && Clean(refused.Message) != refused.Message && len(refused.Message) <= maxText {
			t.Fatalf("unclean error %+v", refused)
		}
	})
}

// endOf is why the connection ended, nil while it stands.
func endOf(client *Client) error {
	select {
	case <-client.done:
		return client.err
	default:
		return nil
	}
}
