package protocol

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/coder/websocket"
)

// DefaultReadLimit in bytes lies above the largest policy.maxPayload seen,
// 26,214,400 (2026.2.26 to 2026.9.6).
const DefaultReadLimit = 32 << 20

// DialOptions say where the gateway is and what to trust.
type DialOptions struct {
	// URL is ws:// or wss://.
	URL string
	TLS TLSOptions
	// ReadLimit is the largest frame accepted, in bytes; zero means
	// DefaultReadLimit. The hello of 2026.9.6 has some 15 kB.
	ReadLimit int64
	// Header is sent with the upgrade.
	Header http.Header
	// Host is sent instead of the URL's, where it is not empty.
	Host string
}

// Dialer opens connections to one gateway. It reads the CA file once.
type Dialer struct {
	options    DialOptions
	url, shown string
	client     *http.Client
}

// NewDialer checks the options. Errors are [*TransportError].
func NewDialer(opts DialOptions) (*Dialer, error) {
	u, err := parseURL(opts.URL)
	if err != nil {
		return nil, err
	}
	d := &Dialer{options: opts, url: u.String(), shown: displayURL(u)}
	if d.client, err = httpClient(u, opts.TLS); err != nil {
		return nil, &TransportError{Kind: TLS, URL: d.shown, Err: err}
	}
	return d, nil
}

// Dial opens one WebSocket. It adds no Origin header (from 2026.2.26 on one is
// enough to be refused) and offers no compression.
//
// Errors are [*TransportError].
func (d *Dialer) Dial(ctx context.Context) (*Conn, error) {
	var stage dialStage
	ws, response, err := websocket.Dial(stage.watch(ctx), d.url, &websocket.DialOptions{HTTPClient: d.client, HTTPHeader: d.options.Header, Host: d.options.Host})
	if err != nil {
		// net/http goes on with a dial that nobody waits for, where a peer is silent
		// without end; this ends it.
		d.client.CloseIdleConnections()
		if response != nil {
			return nil, upgradeRefused(d.shown, response)
		}
		failed := transportError(ctx, d.shown, err)
		failed.Err = stage.explain(failed.Err)
		return nil, failed
	}
	ws.SetReadLimit(cmp.Or(d.options.ReadLimit, DefaultReadLimit))
	return &Conn{ws: ws, raw: stage.conn, url: d.shown}, nil
}

// Dial opens one WebSocket as [Dialer.Dial] does.
func Dial(ctx context.Context, opts DialOptions) (*Conn, error) {
	d, err := NewDialer(opts)
	if err != nil {
		return nil, err
	}
	return d.Dial(ctx)
}

func parseURL(text string) (*url.URL, error) {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		// url.Error repeats the whole text, which may hold a secret.
		return nil, &TransportError{Kind: BadURL, Err: errors.New("the gateway URL cannot be parsed")}
	}
	if u.Scheme != "ws" && u.Scheme != "wss" {
		return nil, &TransportError{Kind: BadURL, URL: displayURL(u), Err: errors.New("the gateway URL starts with ws:// or wss://")}
	}
	if u.Hostname() == "" {
		return nil, &TransportError{Kind: BadURL, URL: displayURL(u), Err: errors.New("the gateway URL names no host")}
	}
	return u, nil
}

// displayURL leaves out what people put secrets into.
func displayURL(u *url.URL) string {
	shown := url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}
	return shown.String()
}

// upgradeRefused reports an HTTP answer that is not 101 Switching Protocols.
func upgradeRefused(shown string, response *http.Response) *TransportError {
	var body []byte
	if response.Body != nil {
		body, _ = io.ReadAll(io.LimitReader(response.Body, 1024))
	}
	location := ""
	if to, err := url.Parse(response.Header.Get("Location")); err == nil && to.Host != "" {
		location = displayURL(to)
	}
	return &TransportError{
		Kind:     HTTP,
		URL:      shown,
		Status:   response.StatusCode,
		Location: Clean(location),
		Body:     Clean(string(body)),
		Err:      errors.New("the upgrade to a WebSocket was answered with HTTP " + Clean(response.Status)),
	}
}

// DisplayURL is a gateway URL without what people put secrets into; empty
// where it cannot be read.
func DisplayURL(text string) string {
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return ""
	}
	return displayURL(u)
}
