package protocol

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
)

// httpClient is what a gateway is dialled with. It follows no redirect. Proxies
// from the environment serve wss:// only, through CONNECT, and never loopback:
// in plain ws:// the proxy would be shown the token, and a container whose
// HTTP_PROXY is meant for downloads still reaches its gateway by name.
func httpClient(u *url.URL, options TLSOptions) (*http.Client, error) {
	if u.Host != options.OwnAddress {
		options.Own = nil
	}
	config, err := options.config()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, DisableCompression: true, DisableKeepAlives: true}
	if options.Listener != nil {
		transport.DialContext = dialOnly(options.Listener)
	}
	if u.Scheme == "wss" {
		transport.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport:     brokenOffTransport{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

// dialOnly connects where the same one listens before and after, so that it is that
// one who was reached.
func dialOnly(listener func(ctx context.Context, address string) (string, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		before, err := listener(ctx, address)
		if err != nil {
			return nil, &ListenerError{err}
		}
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		after, err := listener(ctx, address)
		if err == nil && after != before {
			err = errors.New("who listens at " + address + " has changed at this moment")
		}
		if err != nil {
			_ = conn.Close()
			return nil, &ListenerError{err}
		}
		return conn, nil
	}
}

// BrokenOff makes a connection's bare end an error: coder/websocket 1.8.15 takes
// an io.EOF in the middle of a message for the message's end.
func BrokenOff(err error) error {
	if err == io.EOF { //nolint:errorlint // a reader returns it bare
		return io.ErrUnexpectedEOF
	}
	return err
}

// brokenOffTransport gives an upgraded connection the errors of [BrokenOff].
type brokenOffTransport struct{ *http.Transport }

func (t brokenOffTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.Transport.RoundTrip(r)
	if err == nil && response.StatusCode == http.StatusSwitchingProtocols {
		if body, ok := response.Body.(io.ReadWriteCloser); ok {
			response.Body = brokenOffBody{body}
		}
	}
	return response, err
}

type brokenOffBody struct{ io.ReadWriteCloser }

func (b brokenOffBody) Read(p []byte) (int, error) {
	n, err := b.ReadWriteCloser.Read(p)
	return n, BrokenOff(err)
}
