// Package protocol owns the wire: a WebSocket to an OpenClaw gateway, the
// frames on it, the connect handshake, calls and events after it ([Client]),
// and what the gateway says when it refuses, as typed errors ([Refusal],
// [RPCError]) as opposed to a connection that failed
// ([TransportError]).
//
// It makes one attempt and reports it. It never retries, never decides what a
// refusal means to a person, and never puts a token into an error.
package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/coder/websocket"
)

// Conn is one open WebSocket to a gateway, before or after its handshake. One
// goroutine may read while another writes.
type Conn struct {
	ws  *websocket.Conn
	raw net.Conn // below it, for [Conn.Close]
	url string
	// tick is the hello's; the handshake sets it.
	tick time.Duration
}

// ReadFrame waits for the next frame. A context that ends closes the
// connection. The error is a [*CloseError] where the gateway closed it, else a
// [*TransportError].
func (c *Conn) ReadFrame(ctx context.Context) (Frame, error) {
	f, _, err := c.readFrame(ctx)
	return f, err
}

func (c *Conn) readFrame(ctx context.Context) (f Frame, raw []byte, err error) {
	kind, raw, err := c.ws.Read(ctx)
	if err != nil {
		return f, nil, c.wrap(ctx, err)
	}
	if kind != websocket.MessageText {
		return f, nil, notGateway(c, "it sends binary frames")
	}
	if f, err = ParseFrame(raw); err != nil {
		return f, nil, &TransportError{Kind: NotGateway, URL: c.url, Err: err}
	}
	return f, raw, nil
}

// WriteFrame sends one frame. Errors are as [Conn.ReadFrame]'s.
func (c *Conn) WriteFrame(ctx context.Context, f Frame) error {
	data, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("cannot write frame %q: %w", f.Method, err)
	}
	if err := c.ws.Write(ctx, websocket.MessageText, data); err != nil {
		return c.wrap(ctx, err)
	}
	return nil
}

// closePatience is a little more than coder/websocket 1.8.15 gives a peer for its close
// frame; for the rest of a frame that the peer has begun it waits without end.
const closePatience = 6 * time.Second

// Close ends the connection with the close handshake, code 1000.
func (c *Conn) Close() error {
	defer time.AfterFunc(closePatience, func() { _ = c.raw.Close() }).Stop()
	return c.ws.Close(websocket.StatusNormalClosure, "")
}

// CloseNow ends the connection at once. It may follow Close.
func (c *Conn) CloseNow() { _ = c.ws.CloseNow() }

// WebSocket is the connection itself, for a relay, which streams messages of any
// size. Its errors are the library's.
func (c *Conn) WebSocket() *websocket.Conn { return c.ws }

// CloseError is the gateway's close frame.
type CloseError struct {
	// Code is 1005 where the frame had none.
	Code   int
	Reason string
}

func (e *CloseError) Error() string {
	if e.Reason == "" {
		return fmt.Sprintf("gateway closed the connection (%d)", e.Code)
	}
	return fmt.Sprintf("gateway closed the connection (%d %s)", e.Code, e.Reason)
}

func (c *Conn) wrap(ctx context.Context, err error) error {
	if closed, is := errors.AsType[websocket.CloseError](err); is {
		return &CloseError{Code: int(closed.Code), Reason: Clean(closed.Reason)}
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = &lateError{"nothing came from it in time", err}
	}
	return transportError(ctx, c.url, err)
}

// MinProtocol and MaxProtocol are the versions offered. Releases up
// to 2026.5.7 speak 3, from 2026.5.18 on 4; every one accepts the range 3..4.
const (
	MinProtocol = 3
	MaxProtocol = 4
)

// Frame types.
const (
	TypeRequest  = "req"
	TypeResponse = "res"
	TypeEvent    = "event"
)

// Frame is one message in either direction. Payload and Error are kept as they
// came, unknown fields included.
type Frame struct {
	Type string `json:"type"`
	// ID joins a response to its request.
	ID     string `json:"id,omitempty"`
	Method string `json:"method,omitempty"`
	Event  string `json:"event,omitempty"`
	OK     bool   `json:"ok,omitempty"`
	// Params belong to requests, Payload to responses and events, Error to
	// responses that are not OK.
	Params  json.RawMessage `json:"params,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// ParseFrame reads one message from the gateway.
func ParseFrame(data []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(data, &f); err != nil {
		return Frame{}, fmt.Errorf("cannot read frame: %w", err)
	}
	if f.Type == "" {
		return Frame{}, errors.New("cannot read frame: it has no type")
	}
	return f, nil
}
