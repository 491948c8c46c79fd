package bridge

import (
	"cmp"
	"context"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"
)

// chunk is how much of a message is held at a time, in bytes. What fits into it
// goes on as one frame; a longer message goes on in fragments of this size: 25
// MB are 800, and gateways take 16,384 (ws 8.21).
const chunk = 32 << 10

// ending is why one direction of a relay is over.
type ending struct {
	// from is the side that was read from.
	from, to *websocket.Conn
	// reading: from said goodbye or was lost; else to could not be written.
	reading bool
	err     error
}

// relay passes messages on in both directions until a side ends, and tells the
// other side why. A reason given is said instead of the gateway's own.
func (s *session) relay(gateway *websocket.Conn, reason string) string {
	client, pump := s.client, s.bridge.pump
	client.SetReadLimit(-1) // the gateway's policy decides: it closes with 1009
	gateway.SetReadLimit(-1)
	ends := make(chan ending, 2)
	go func() { ends <- pump(client, gateway) }()
	go func() { ends <- pump(gateway, client) }()
	first := <-ends
	remaining := 1
	if !first.reading {
		// A side that takes nothing any more has usually said why.
		select {
		case second := <-ends:
			remaining--
			if second.reading {
				first = second
			}
		case <-time.After(time.Second):
		}
	}
	ended := first.from
	if !first.reading {
		ended = first.to
	}
	code, said := websocket.StatusGoingAway, "the client is gone"
	if ended == gateway {
		code, said = websocket.StatusTryAgainLater, "the connection to the gateway was lost"
	}
	if closed := (websocket.CloseError{}); first.reading && errors.As(first.err, &closed) {
		code, said = closed.Code, closed.Reason
	}
	_ = ended.CloseNow()
	if ended == gateway {
		said = cmp.Or(reason, said)
		s.close(code, said)
	} else {
		_ = gateway.Close(code, fit(said))
	}
	for range remaining {
		<-ends
	}
	return said
}

// pump passes messages on in one direction, each read only when the one before
// is written: a slow reader slows the writer down.
func (b *Bridge) pump(from, to *websocket.Conn) ending {
	// Without a context's end, which would cost allocations a frame: the
	// connections are closed instead.
	ctx := context.Background()
	stall := time.AfterFunc(b.stallTimeout, func() { _ = to.CloseNow() })
	stall.Stop()
	out := sink{ws: to, stall: stall, timeout: b.stallTimeout}
	for {
		kind, message, err := from.Reader(ctx)
		if err != nil {
			return ending{from: from, to: to, reading: true, err: err}
		}
		buffer := b.chunks.Get().(*[chunk]byte)
		reading, err := out.pass(ctx, kind, message, buffer[:])
		b.chunks.Put(buffer)
		if err != nil {
			return ending{from: from, to: to, reading: reading, err: err}
		}
	}
}

// sink writes to a side that is given up when it takes nothing for too long.
type sink struct {
	ws      *websocket.Conn
	stall   *time.Timer
	timeout time.Duration
}

// pass copies one message. reading tells on which side an error was.
func (s sink) pass(ctx context.Context, kind websocket.MessageType, message io.Reader, buffer []byte) (reading bool, err error) {
	n, last, err := fill(message, buffer)
	if err != nil {
		return true, err
	}
	if last {
		s.stall.Reset(s.timeout)
		defer s.stall.Stop()
		return false, s.ws.Write(ctx, kind, buffer[:n])
	}
	out, err := s.ws.Writer(ctx, kind)
	if err != nil {
		return false, err
	}
	for !last {
		if err := s.write(out, buffer[:n]); err != nil {
			return false, err
		}
		if n, last, err = fill(message, buffer); err != nil {
			return true, err
		}
	}
	if err := s.write(out, buffer[:n]); err != nil {
		return false, err
	}
	s.stall.Reset(s.timeout)
	defer s.stall.Stop()
	return false, out.Close()
}

func (s sink) write(out io.Writer, data []byte) error {
	if len(data) == 0 {
		return nil
	}
	s.stall.Reset(s.timeout)
	defer s.stall.Stop()
	_, err := out.Write(data)
	return err
}

// fill reads until the buffer is full or the message has ended (last).
func fill(message io.Reader, buffer []byte) (n int, last bool, err error) {
	n, err = io.ReadFull(message, buffer)
	// Only bare do the two mean the message's end.
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return n, true, nil
	}
	return n, false, err
}

// maxReason is what a close frame has room for, in bytes.
const maxReason = 123

// fit cuts a close reason, between characters.
func fit(reason string) string {
	if len(reason) <= maxReason {
		return reason
	}
	cut := maxReason
	for cut > 0 && !utf8.RuneStart(reason[cut]) {
		cut--
	}
	return reason[:cut]
}
