package entrypoint

import (
	"context"
	"errors"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/bridge"
)

// bridgeBeside opens the bridge of a gateway that we are about to start; nil
// where none was asked for. It serves the gateway on this machine, wherever
// other clients are told to find it.
func (e *Entrypoint) bridgeBeside() (*openedBridge, error) {
	if len(e.Settings.Bridge) == 0 {
		return nil, nil
	}
	return openBridge("--bridge", e.Target, bridge.Options{GatewayURL: e.Listen.URL(), Token: e.BridgeToken, Join: joinHere(e.Target)})
}

// serve lets clients in until drain.
func (b *openedBridge) serve(log zerolog.Logger) {
	if b == nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	b.stop = cancel
	go func() {
		defer close(b.ended)
		if err := b.bridge.Serve(ctx, b.listeners...); ctx.Err() == nil {
			log.Error().Err(err).Msg("bridge: it has ended, and the gateway runs on: no client is let in that cannot sign")
		}
	}()
}

// drainTimeout is how long clients have to answer a goodbye when the gateway has
// ended: one that does not must not cost a container its exit code.
const drainTimeout = 3 * time.Second

// drain ends it: clients have the gateway's own goodbye by now, where it said
// one, and those that have not are told that the bridge stops.
func (b *openedBridge) drain() {
	if b == nil {
		return
	}
	b.stop()
	select {
	case <-b.ended:
	case <-time.After(drainTimeout):
	}
}

// ready tells whether clients can be served; nil where they can, or where there
// is no bridge.
func (b *openedBridge) ready(ctx context.Context) error {
	if b == nil {
		return nil
	}
	select {
	case <-b.ended:
		return errors.New("the bridge has ended")
	default:
		return b.bridge.Ready(ctx)
	}
}
