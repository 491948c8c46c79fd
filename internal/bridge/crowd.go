package bridge

import (
	"sync"
	"time"
)

// The limits of how many are there that have shown no token yet. They come from
// other machines: on this one a process can do worse.
const (
	maxStrangers     = 256
	strangersPerPeer = 32
)

// crowd counts the clients that are there.
type crowd struct {
	mu      sync.Mutex
	count   int
	leaving bool
	all     sync.WaitGroup
	// strangers are those of them that have shown no token yet, by peer.
	strangers map[string]int
	strange   int
}

// enter makes room for one more, unless there is none or the bridge ends. A
// stranger's peer is named, and leaves that state by known.
func (c *crowd) enter(stranger string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving || c.count >= maxClients {
		return false
	}
	if stranger != "" {
		if c.strange >= maxStrangers || c.strangers[stranger] >= strangersPerPeer {
			return false
		}
		if c.strangers == nil {
			c.strangers = map[string]int{}
		}
		c.strange++
		c.strangers[stranger]++
	}
	c.count++
	c.all.Add(1)
	return true
}

// known is for a stranger that is none any more: let in, or gone.
func (c *crowd) known(stranger string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.strange--
	if c.strangers[stranger]--; c.strangers[stranger] == 0 {
		delete(c.strangers, stranger)
	}
}

// Clients is how many are connected, those that are not let in yet included.
func (b *Bridge) Clients() int {
	b.crowd.mu.Lock()
	defer b.crowd.mu.Unlock()
	return b.crowd.count
}

func (c *crowd) exit() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.count--
	c.all.Done()
}

// leave waits until every client has had its close frame; each bounds itself.
func (c *crowd) leave() {
	c.mu.Lock()
	c.leaving = true
	c.mu.Unlock()
	done := make(chan struct{})
	go func() { c.all.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(stopTimeout):
	}
}
