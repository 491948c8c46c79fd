package protocol

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// IsStarting asks a gateway on this machine, at /startupz, whether its start still
// goes on, which costs it a millisecond; a handshake that it puts off costs it up to
// a second, of the one thread that it starts in (2026.9.6). 2026.8.2 and later
// answer 503 for as long as they would put one off; other answers, of earlier
// releases too, and other machines say nothing: the answer is false.
func IsStarting(ctx context.Context, opts DialOptions) bool {
	u, err := url.Parse(opts.URL)
	if err != nil || !net.ParseIP(u.Hostname()).IsLoopback() {
		return false
	}
	client, err := httpClient(u, opts.TLS)
	if err != nil {
		return false
	}
	u = &url.URL{Scheme: strings.Replace(u.Scheme, "ws", "http", 1), Host: u.Host, Path: "/startupz"}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return false
	}
	response, err := client.Do(request)
	if err != nil {
		client.CloseIdleConnections()
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusServiceUnavailable
}
