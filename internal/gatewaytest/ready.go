package gatewaytest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// WaitReady returns when the gateway answers connects; it fails the test when
// the gateway ends before that or takes longer than [Patience].
func (g *Gateway) WaitReady(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	for {
		err := askReady(ctx, g.URL)
		if err == nil {
			return
		}
		select {
		case <-g.done:
			if !g.startAgain(t) {
				t.Fatalf("the gateway ended with exit code %d before it was ready (%v)", g.code, err)
			}
		case <-ctx.Done():
			t.Fatalf("the gateway is not ready after %v: %v", Patience, err)
		case <-time.After(250 * time.Millisecond):
		}
	}
}

// WaitOutput returns when the text stands in the output; it fails the test when
// the process ends without it or takes longer than [Patience].
func (g *Gateway) WaitOutput(t testing.TB, text string) {
	t.Helper()
	deadline := time.After(Patience)
	for {
		ended := g.ended() // before the look: what it wrote last counts too
		if strings.Contains(g.Output(), text) {
			return
		}
		if ended && !g.startAgain(t) {
			t.Fatalf("the gateway ended with exit code %d and never said %q", g.code, text)
		}
		select {
		case <-g.done:
		case <-deadline:
			t.Fatalf("the gateway has not said %q within %v", text, Patience)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A connect that every release refuses for its protocol, before it looks at
// anything else. It has no device and no token, so it leaves no pending request
// and counts as no failed login. All releases seen test "still starting" first
// (UNAVAILABLE, from 2026.4.29 on), so any other refusal means: started.
const impossibleConnect = `{"type":"req","id":"ready","method":"connect","params":{
	"minProtocol":1,"maxProtocol":1,
	"client":{"id":"test","version":"0","platform":"linux","mode":"test"}}}`

// askReady is nil when the gateway at the URL has started.
func askReady(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		return err
	}
	defer func() { _ = conn.CloseNow() }()

	if _, err := readFrame(ctx, conn, "event"); err != nil {
		return fmt.Errorf("waiting for connect.challenge: %w", err)
	}
	if err := conn.Write(ctx, websocket.MessageText, []byte(impossibleConnect)); err != nil {
		return err
	}
	answer, err := readFrame(ctx, conn, "res")
	if err != nil {
		return fmt.Errorf("waiting for the answer to connect: %w", err)
	}
	if answer.Error.Code == "UNAVAILABLE" {
		return errors.New(answer.Error.Message)
	}
	return nil
}

type frame struct {
	Type  string `json:"type"`
	Error struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

func readFrame(ctx context.Context, conn *websocket.Conn, kind string) (frame, error) {
	var f frame
	_, data, err := conn.Read(ctx)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(data, &f); err != nil {
		return f, err
	}
	if f.Type != kind {
		return f, fmt.Errorf("got a frame of type %q, not %q", f.Type, kind)
	}
	return f, nil
}
