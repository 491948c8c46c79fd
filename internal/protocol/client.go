package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// defaultTick is the interval of the gateway's tick events on every release
	// seen; policy.tickIntervalMs says so.
	defaultTick = 30 * time.Second
	// silentTicks is how many intervals may pass without a single frame before
	// the connection counts as dead. The official client allows two.
	silentTicks = 3
	// maxTick bounds what a peer may say.
	maxTick = 5 * time.Minute
	// writeTimeout bounds the sending of one request. A gateway that takes no
	// bytes for so long is as good as gone.
	writeTimeout = 10 * time.Second
)

// Client calls the gateway's methods over one connection. It is safe for
// concurrent use. It neither reconnects nor repeats a call.
type Client struct {
	conn   *Conn
	silent time.Duration
	// events are the names of those that are heard; then heard holds a value.
	events []string
	heard  chan struct{}
	// writing holds one value while a request is being sent.
	writing chan struct{}
	// done is closed by the reader as its last act, after err was set.
	done chan struct{}
	err  error
	// closed is set by Close, which the reader then takes for the reason.
	closed atomic.Bool

	mu      sync.Mutex
	lastID  uint64
	pending map[string]chan<- Frame
}

// NewClient takes over a connection whose handshake succeeded; from then on
// only the client may read and write it. The events named end [Client.NextEvent], all
// others are thrown away unread.
//
// One goroutine reads until the connection ends: by [Client.Close], by the
// gateway, by a frame that no gateway sends, or by a silence of three of the
// gateway's ticks. It answers WebSocket pings, too.
func NewClient(conn *Conn, events ...string) *Client {
	tick := conn.tick
	if tick <= 0 {
		tick = defaultTick
	}
	c := &Client{
		conn:    conn,
		silent:  silentTicks * min(tick, maxTick),
		events:  events,
		heard:   make(chan struct{}, 1),
		writing: make(chan struct{}, 1),
		done:    make(chan struct{}),
		pending: map[string]chan<- Frame{},
	}
	go c.read()
	return c
}

// Call asks for a method and waits for its answer: the payload, as received.
// params is anything that marshals to a JSON object; nil is an empty one.
//
// The error is an [*RPCError] where the gateway said no, the context's where
// that ended (the gateway may have done what was asked all the same, and the
// connection stays usable), else why the connection ended. Where a method answers
// twice, as agent runs do, the first answer counts.
func (c *Client) Call(ctx context.Context, method string, params any) (json.RawMessage, error) {
	if params == nil {
		params = struct{}{}
	}
	data, err := json.Marshal(params)
	if err != nil {
		return nil, fmt.Errorf("cannot write the parameters of %s: %w", method, err)
	}
	id, answer := c.expect()
	defer c.forget(id)
	if err := c.send(ctx, Frame{Type: TypeRequest, ID: id, Method: method, Params: data}); err != nil {
		return nil, err
	}
	select {
	case frame := <-answer:
		return result(method, frame)
	case <-ctx.Done():
		return nil, fmt.Errorf("no answer to %s: %w", method, ctx.Err())
	case <-c.done:
	}
	// The last frame before the end may have been the answer.
	select {
	case frame := <-answer:
		return result(method, frame)
	default:
		return nil, c.err
	}
}

func result(method string, frame Frame) (json.RawMessage, error) {
	if frame.OK {
		return frame.Payload, nil
	}
	return nil, newRPCError(method, frame.Error)
}

// expect registers a request; its answer comes once at most.
func (c *Client) expect() (id string, answer <-chan Frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastID++
	id = "rpc-" + strconv.FormatUint(c.lastID, 10)
	ch := make(chan Frame, 1)
	c.pending[id] = ch
	return id, ch
}

func (c *Client) forget(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.pending, id)
}

// send waits for its turn and writes. The write itself does not end with the
// caller's context: a frame cut in the middle would end the connection for
// everybody.
func (c *Client) send(ctx context.Context, frame Frame) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s was not asked: %w", frame.Method, err)
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return fmt.Errorf("%s was not asked: %w", frame.Method, ctx.Err())
	case c.writing <- struct{}{}:
	}
	defer func() { <-c.writing }()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeTimeout)
	defer cancel()
	err := c.conn.WriteFrame(ctx, frame)
	if err == nil {
		return nil
	}
	// The reader knows the reason better, unless all it saw is that the
	// connection is gone.
	c.conn.CloseNow()
	<-c.done
	if lost := (*TransportError)(nil); errors.As(c.err, &lost) && lost.Kind == Lost {
		return err
	}
	return c.err
}

// read is the one goroutine that reads; it ends with the connection.
func (c *Client) read() {
	err := c.readAll()
	if c.closed.Load() {
		err = &TransportError{Kind: Canceled, URL: c.conn.url, Err: errors.New("the connection was closed on this side")}
	}
	c.conn.CloseNow()
	c.err = err
	close(c.done)
}

func (c *Client) readAll() error {
	for {
		ctx, cancel := context.WithTimeout(context.Background(), c.silent)
		frame, err := c.conn.ReadFrame(ctx)
		cancel()
		if failed := (*TransportError)(nil); errors.As(err, &failed) && failed.Kind == Timeout {
			failed.Err = fmt.Errorf("nothing came from it for %s", c.silent)
		}
		if err != nil {
			return err
		}
		c.dispatch(frame)
	}
}

// dispatch never blocks. Answers to nobody (a call given up, a second answer,
// an id never sent) and frames of an unknown type are dropped.
func (c *Client) dispatch(frame Frame) {
	switch frame.Type {
	case TypeResponse:
		c.mu.Lock()
		answer, waiting := c.pending[frame.ID]
		delete(c.pending, frame.ID)
		c.mu.Unlock()
		if waiting {
			answer <- frame
		}
	case TypeEvent:
		if slices.Contains(c.events, frame.Event) {
			select {
			case c.heard <- struct{}{}:
			default: // who waits has not looked since the one before
			}
		}
	}
}

// NextEvent waits until one of the events named to [NewClient] has come since the last
// call; those that came meanwhile are one. What they tell has to be asked for. One that
// came before the connection ended still counts; then the error is why it ended.
func (c *Client) NextEvent(ctx context.Context) error {
	select {
	case <-c.heard:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.done:
	}
	select {
	case <-c.heard:
		return nil
	default:
		return c.err
	}
}

// Close ends the connection with the close handshake, and with it every
// pending call. It returns when the reader has ended.
func (c *Client) Close() {
	c.closed.Store(true)
	// Where the close handshake fails, the connection has ended as well.
	_ = c.conn.Close()
	c.conn.CloseNow()
	<-c.done
}
