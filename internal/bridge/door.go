package bridge

import (
	"context"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/seed"
)

// door decides about a connection before any frame: web pages can reach
// loopback, so what a browser would send is refused.
type door struct {
	bridge   *Bridge
	listener *Listener
	ctx      context.Context // ends with the bridge, not with the request
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := d.bridge
	if reason := d.forbids(r); reason != "" {
		b.options.Notify(Event{Kind: Refused, Remote: r.RemoteAddr, Reason: reason})
		http.Error(w, reason, http.StatusForbidden)
		return
	}
	if r.Header.Get("Upgrade") == "" {
		b.serveHealth(d.ctx, w, r)
		return
	}
	if !b.crowd.enter() {
		http.Error(w, "the bridge has as many clients as it takes", http.StatusServiceUnavailable)
		return
	}
	defer b.crowd.exit()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
		// There is no Origin: it was refused above, the page's own host too.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // Accept has answered
	}
	s := session{bridge: b, client: ws, remote: r.RemoteAddr, name: d.listener.name, shown: bearer(r)}
	if s.name == "" {
		s.name, s.badName = nameIn(r.URL.Path)
	} else if path := strings.Trim(r.URL.Path, "/"); path != "" && path != s.name {
		// A socket is one client's; a path cannot make it another's.
		s.badName = true
	}
	s.run(d.ctx)
}

// forbids says why a request is not answered; empty where it is.
func (d *door) forbids(r *http.Request) string {
	if _, fromPage := r.Header["Origin"]; fromPage {
		return "the bridge is not for web pages: a request with an Origin header is refused"
	}
	if !d.isOwn(r) {
		return "the bridge is not called by that Host: name it with --bridge-host"
	}
	return ""
}

// isOwn tells whether the Host is a name of this bridge. Another name that
// leads here may be an attacker's, pointed at this address (DNS rebinding).
func (d *door) isOwn(r *http.Request) bool {
	host := r.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" {
		return true
	}
	if ip := net.ParseIP(host); ip != nil && d.isOwnIP(r, ip) {
		return true
	}
	if self, err := os.Hostname(); err == nil && strings.EqualFold(self, host) {
		return true
	}
	return slices.ContainsFunc(d.bridge.options.Hosts, func(own string) bool { return strings.EqualFold(own, host) })
}

func (d *door) isOwnIP(r *http.Request, ip net.IP) bool {
	if ip.IsLoopback() {
		return true
	}
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ok && local.IP.Equal(ip)
}

// nameIn takes the client's name from the path; none is allowed to a client
// that brings its own device.
func nameIn(path string) (name string, bad bool) {
	name = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	if name == "" || seed.ValidName(name) {
		return name, false
	}
	return "", true
}

// bearer is the token of an Authorization header.
func bearer(r *http.Request) string {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
