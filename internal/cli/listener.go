package cli

import (
	"errors"
	"net"
	"strconv"
	"sync"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/settings"
)

// ownListener keeps tokens and signatures from whoever takes the gateway's port
// before the gateway does: on this machine, and at that port, only a process that
// began with ours is connected to. Where a person names another URL, that one counts
// as it is. Nil knows nothing and forbids nothing.
type ownListener struct {
	port int

	mu    sync.Mutex
	tree  *gateway.Tree // nil until the gateway is started
	owner string        // the last one that was found, for people
}

// started says which child it is.
func (o *ownListener) started(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tree = gateway.NewTree(pid)
}

// seen is whose socket was connected to; empty where it was none on this machine.
func (o *ownListener) seen() string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner
}

// check is what [protocol.TLSOptions] asks.
func (o *ownListener) check(address string) (string, error) {
	if _, port, err := net.SplitHostPort(address); err != nil || port != strconv.Itoa(o.port) {
		return "", nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	id := ""
	for _, own := range gateway.OnThisMachine(address) {
		if o.tree == nil {
			return "", errors.New("the gateway is not started yet")
		}
		owner, err := o.tree.Listener(own)
		if err != nil {
			return "", err
		}
		if owner != (gateway.Owner{}) {
			id, o.owner = id+owner.Socket()+" ", owner.String()
		}
	}
	return id, nil
}

// trust is who may be shown secrets, where p has started a gateway.
func (p place) trust(s settings.Settings) protocol.TLSOptions {
	options := tlsOptions(s)
	if p.listener != nil {
		options.Listener = p.listener.check
	}
	return options
}
