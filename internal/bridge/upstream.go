package bridge

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// maxHandshakeFrame bounds what is held in memory of the gateway's frames up to
// its answer, in bytes. The largest hello seen has some 20 kB (2026.9.6).
const maxHandshakeFrame = 4 << 20

// throughBridge is a header that marks what a bridge asks a gateway. A bridge that
// gets it would ask itself, or another bridge, and so on.
const throughBridge = "X-Bootstrap-Bridge"

func newUpstream(gatewayURL string, options protocol.TLSOptions) (*protocol.Dialer, error) {
	return protocol.NewDialer(protocol.DialOptions{
		URL: gatewayURL, TLS: options, ReadLimit: maxHandshakeFrame, Header: http.Header{throughBridge: {"1"}},
	})
}

// conversation is a connection to the gateway whose challenge has come.
type conversation struct {
	ws *websocket.Conn
	// challenge is the frame as it came.
	challenge []byte
	nonce     string
	// settled gives back the turn of a connection that is let in, or over.
	settled func()
}

// drop ends it without a word; once more is nothing.
func (c *conversation) drop() {
	_ = c.ws.CloseNow()
	c.settled()
}

// end says goodbye: no request came, or none that goes on to the gateway.
func (c *conversation) end() {
	_ = c.ws.Close(websocket.StatusNormalClosure, "")
	c.settled()
}

// dial connects and waits for the challenge. Where that fails, it is settled.
func (b *Bridge) dial(ctx context.Context, settled func()) (gateway *conversation, err error) {
	defer func() {
		if err != nil {
			settled()
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := b.upstream.Dial(ctx)
	if err != nil {
		return nil, unreached(err)
	}
	challenge, err := conn.ReadChallenge(ctx)
	if err != nil {
		conn.CloseNow()
		return nil, unreached(err)
	}
	return &conversation{ws: conn.WebSocket(), challenge: challenge.Raw, nonce: challenge.Nonce, settled: settled}, nil
}

// unreached says in few words why no gateway answered: a close reason has room
// for 123 bytes. A close frame stays as it is.
func unreached(err error) error {
	var failed *protocol.TransportError
	if !errors.As(err, &failed) {
		return err
	}
	switch failed.Kind {
	case protocol.Refused:
		return errors.New("connection refused")
	case protocol.Timeout, protocol.Canceled:
		return errors.New("no answer in time")
	}
	return errors.New(protocol.Clean(strings.TrimPrefix(failed.Err.Error(), "failed to WebSocket dial: ")))
}
