package bridge

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// maxHandshakeFrame bounds what is held in memory of the gateway's frames up to
// its answer, in bytes. The largest hello seen has some 20 kB (2026.9.6).
const maxHandshakeFrame = 4 << 20

// throughBridge is a header that marks what a bridge asks a gateway. A bridge that
// gets it would ask itself, or another bridge, and so on.
const throughBridge = "X-Bootstrap-Bridge"

// upstream opens connections to the gateway as [protocol.Dial] does. It is not
// that function because a relay streams messages of any size.
type upstream struct {
	url    string
	client *http.Client
}

func newUpstream(gatewayURL string, options protocol.TLSOptions) (upstream, error) {
	client, err := protocol.HTTPClient(gatewayURL, options)
	return upstream{url: gatewayURL, client: client}, err
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

// open connects and waits for the challenge.
func (u upstream) open(ctx context.Context) (*conversation, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	ws, response, err := websocket.Dial(ctx, u.url, &websocket.DialOptions{HTTPClient: u.client, HTTPHeader: http.Header{throughBridge: {"1"}}})
	if err != nil {
		return nil, dialError(ctx, response, err)
	}
	ws.SetReadLimit(maxHandshakeFrame)
	c := &conversation{ws: ws, settled: func() {}}
	if err := c.readChallenge(ctx); err != nil {
		_ = ws.CloseNow()
		return nil, err
	}
	return c, nil
}

func (c *conversation) readChallenge(ctx context.Context) error {
	kind, data, err := c.ws.Read(ctx)
	if err != nil {
		return err
	}
	frame, err := protocol.ParseFrame(data)
	if err != nil || kind != websocket.MessageText || frame.Type != protocol.TypeEvent || frame.Event != "connect.challenge" {
		return errors.New("what answers there is no gateway: it sends no challenge")
	}
	var challenge struct {
		Nonce string `json:"nonce"`
	}
	if json.Unmarshal(frame.Payload, &challenge) != nil || challenge.Nonce == "" {
		return errors.New("what answers there is no gateway: its challenge has no nonce")
	}
	c.challenge, c.nonce = data, challenge.Nonce
	return nil
}

// dialError says in few words why no gateway answered: a close reason has room
// for 123 bytes.
func dialError(ctx context.Context, response *http.Response, err error) error {
	switch {
	case response != nil:
		return errors.New("the upgrade was answered with HTTP " + response.Status)
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("connection refused")
	case ctx.Err() != nil:
		return errors.New("no answer in time")
	}
	// url.Error repeats the request's URL with its query.
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	return errors.New(protocol.Clean(strings.TrimPrefix(err.Error(), "failed to WebSocket dial: ")))
}
