package protocol

import (
	"io"
	"net/http"
	"net/url"
)

// HTTPClient is what a gateway is dialled with. It follows no redirect. Proxies
// from the environment serve wss:// only, through CONNECT, and never loopback:
// in plain ws:// the proxy would be shown the token, and a container whose
// HTTP_PROXY is meant for downloads still reaches its gateway by name. Errors are
// [*TransportError].
func HTTPClient(gatewayURL string, options TLSOptions) (*http.Client, error) {
	u, err := parseURL(gatewayURL)
	if err != nil {
		return nil, err
	}
	client, err := httpClient(u, options)
	if err != nil {
		return nil, &TransportError{Kind: TLS, URL: displayURL(u), Err: err}
	}
	return client, nil
}

func httpClient(u *url.URL, options TLSOptions) (*http.Client, error) {
	config, err := options.config()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{TLSClientConfig: config, DisableCompression: true, DisableKeepAlives: true}
	if u.Scheme == "wss" {
		transport.Proxy = http.ProxyFromEnvironment
	}
	return &http.Client{
		Transport:     brokenOffTransport{transport},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
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
type brokenOffTransport struct{ http.RoundTripper }

func (t brokenOffTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
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
