package bridge

import (
	"context"
	"slices"
	"sync"
)

// A gateway takes 32 connections from one address that are not let in yet
// (2026.9.6, loopback included), and every client of a bridge has the bridge's
// address. Half of them stay free: for the next health check, for the gateway's own
// CLI. A quarter is for clients that have sent their request and need a moment; a
// quarter for those that wait for a challenge and may keep silent, half of it for
// one peer.
const (
	maxHandshakes     = 16
	challengesPerPeer = 4
)

// turns bound how many do something at once, in all and for one peer. The others
// wait, each for as long as those before it that may not begin either.
type turns struct {
	all, each int

	mu     sync.Mutex
	taken  int
	byPeer map[string]int
	queue  []*waiter
}

type waiter struct {
	peer  string
	begin chan struct{} // closed when it has its turn
}

func newTurns(all, each int) *turns {
	return &turns{all: all, each: each, byPeer: map[string]int{}}
}

// take waits for a turn; done gives it back, however often it is called. Errors
// are the context's.
func (t *turns) take(ctx context.Context, peer string) (done func(), err error) {
	w := &waiter{peer: peer, begin: make(chan struct{})}
	t.mu.Lock()
	t.queue = append(t.queue, w)
	t.next()
	t.mu.Unlock()
	release := sync.OnceFunc(func() { t.release(peer) })
	select {
	case <-w.begin:
		return release, nil
	case <-ctx.Done():
	}
	t.mu.Lock()
	i := slices.Index(t.queue, w)
	if i >= 0 {
		t.queue = slices.Delete(t.queue, i, i+1)
	}
	t.mu.Unlock()
	if i < 0 {
		release() // it came at the same moment
	}
	return nil, ctx.Err()
}

func (t *turns) release(peer string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.taken--
	if t.byPeer[peer]--; t.byPeer[peer] == 0 {
		delete(t.byPeer, peer)
	}
	t.next()
}

// next gives a turn to the first who may have one. There is at most one: nobody
// waits while there is room.
func (t *turns) next() {
	for i, w := range t.queue {
		if t.taken >= t.all {
			return
		}
		if t.byPeer[w.peer] < t.each {
			t.taken++
			t.byPeer[w.peer]++
			t.queue = slices.Delete(t.queue, i, i+1)
			close(w.begin)
			return
		}
	}
}
