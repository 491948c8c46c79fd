package bridge

import (
	"sync"
	"time"
)

// crowd counts the clients that are there.
type crowd struct {
	mu      sync.Mutex
	count   int
	leaving bool
	all     sync.WaitGroup
}

// enter makes room for one more, unless there is none or the bridge ends.
func (c *crowd) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.leaving || c.count >= maxClients {
		return false
	}
	c.count++
	c.all.Add(1)
	return true
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
