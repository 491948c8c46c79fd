package protocol

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
)

// Limits of what is kept for a reader that is slow: the first to be reached
// counts. The newest event is kept whatever its size.
const (
	maxQueuedEvents = 256
	maxQueuedBytes  = 1 << 20
)

// Event is something the gateway said unasked.
type Event struct {
	Name    string
	Payload json.RawMessage
	// Missed is how many of the events asked for were dropped right before this
	// one, because nobody took them in time. What they told has to be asked for.
	Missed int
}

// NextEvent waits for the next of the events named to [NewClient]. Nothing
// piles up behind a slow reader: beyond 256 events or 1 MiB the oldest are
// dropped, and [Event.Missed] says how many. Events that came before the
// connection ended are still delivered; then the error is [Client.Err]'s.
// One goroutine may wait at a time.
func (c *Client) NextEvent(ctx context.Context) (Event, error) {
	for {
		event, ok, ended := c.events.pop()
		if ok {
			return event, nil
		}
		if ended {
			<-c.done
			return Event{}, c.err
		}
		select {
		case <-c.events.more:
		case <-ctx.Done():
			return Event{}, ctx.Err()
		}
	}
}

type eventQueue struct {
	wanted []string
	// more holds a value when there may be something new to pop.
	more chan struct{}

	mu     sync.Mutex
	queue  []Event
	bytes  int
	missed int
	ended  bool
}

func newEventQueue(wanted []string) *eventQueue {
	return &eventQueue{wanted: wanted, more: make(chan struct{}, 1)}
}

func (q *eventQueue) push(event Event) {
	if !slices.Contains(q.wanted, event.Name) {
		return
	}
	q.mu.Lock()
	q.queue = append(q.queue, event)
	q.bytes += len(event.Payload)
	for len(q.queue) > 1 && (len(q.queue) > maxQueuedEvents || q.bytes > maxQueuedBytes) {
		q.take()
		q.missed++
	}
	q.mu.Unlock()
	q.wake()
}

func (q *eventQueue) pop() (event Event, ok, ended bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.queue) == 0 {
		return Event{}, false, q.ended
	}
	event = q.take()
	event.Missed, q.missed = q.missed, 0
	return event, true, false
}

// take removes the oldest and lets go of its payload.
func (q *eventQueue) take() Event {
	event := q.queue[0]
	q.queue[0] = Event{}
	q.queue = q.queue[1:]
	q.bytes -= len(event.Payload)
	return event
}

func (q *eventQueue) end() {
	q.mu.Lock()
	q.ended = true
	q.mu.Unlock()
	q.wake()
}

func (q *eventQueue) wake() {
	select {
	case q.more <- struct{}{}:
	default:
	}
}
