package pairing

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// OwnListener keeps tokens and signatures from whoever takes the gateway's port
// before the gateway does: on this machine, and at that port, only a process that
// began with ours is connected to. Where a person names another URL, that one counts
// as it is. Nil knows nothing and forbids nothing.
type OwnListener struct {
	port int

	mu    sync.Mutex
	tree  *gateway.Tree // nil until the gateway is started
	owner string        // the last one that was found, for people
}

// Started says which child it is.
func (o *OwnListener) Started(pid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tree = gateway.NewTree(pid)
}

// Seen is whose socket was connected to; empty where it was none on this machine.
func (o *OwnListener) Seen() string {
	if o == nil {
		return ""
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.owner
}

// check is what [protocol.TLSOptions] asks.
func (o *OwnListener) check(ctx context.Context, address string) (string, error) {
	if _, port, err := net.SplitHostPort(address); err != nil || port != strconv.Itoa(o.port) {
		return "", nil
	}
	here := gateway.OnThisMachine(ctx, address) // which may take its time
	o.mu.Lock()
	defer o.mu.Unlock()
	id := ""
	for _, own := range here {
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

// Trust is who may be shown secrets, where a gateway was started here.
func (t *Target) Trust() protocol.TLSOptions {
	options := t.TLS()
	if t.Listener != nil {
		options.Listener = t.Listener.check
	}
	return options
}

// StartsGateway makes the listener of a gateway that is about to be started here.
func (t *Target) StartsGateway() { t.Starts, t.Listener = true, &OwnListener{port: t.Listen.Port} }
