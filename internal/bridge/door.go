package bridge

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/health"
	"github.com/reflectt/bootstrap/internal/seed"
)

// door decides about a connection before any frame: web pages can reach
// loopback, so what a browser would send is refused.
type door struct {
	bridge   *Bridge
	listener *Listener
	health   http.Handler    // answers what is no WebSocket
	ctx      context.Context // ends with the bridge, not with the request
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	b := d.bridge
	if reason := d.forbids(r); reason != "" {
		b.options.Notify(Event{Kind: Refused, Remote: r.RemoteAddr, Reason: reason})
		http.Error(w, reason, http.StatusForbidden)
		return
	}
	if r.Header.Get(throughBridge) != "" {
		reason := "the gateway's URL of a bridge leads to a bridge: give it the gateway's own"
		b.options.Notify(Event{Kind: Refused, Remote: r.RemoteAddr, Reason: reason, Hint: "--gateway-url, or OPENCLAW_GATEWAY_URL"})
		http.Error(w, reason, http.StatusLoopDetected)
		return
	}
	if r.Header.Get("Upgrade") == "" {
		d.health.ServeHTTP(w, r)
		return
	}
	s := session{bridge: b, conn: health.Conn(r), remote: r.RemoteAddr, name: d.listener.name, shown: bearer(r)}
	s.peer, s.local = peerOf(r, d.listener.socket != "")
	if !s.local {
		s.stranger = s.peer
	}
	if !b.crowd.enter(s.stranger) {
		b.options.Notify(Event{Kind: Full, Remote: r.RemoteAddr, Reason: "there are as many clients as the bridge takes, or as many that have shown no token"})
		http.Error(w, "the bridge has as many clients as it takes", http.StatusServiceUnavailable)
		return
	}
	defer b.crowd.exit()
	defer s.admitted()
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		CompressionMode: websocket.CompressionDisabled,
		// There is no Origin: it was refused above, the page's own host too.
		InsecureSkipVerify: true,
	})
	if err != nil {
		return // Accept has answered
	}
	s.client = ws
	if s.name == "" {
		s.name, s.badName = nameIn(r.URL.Path)
	} else if path := strings.Trim(r.URL.Path, "/"); path != "" && path != s.name {
		// A socket is one client's; a path cannot make it another's.
		s.badName = true
	}
	s.run(d.ctx)
}

// peerOf is whom a client's connections count for, and whether it is on this
// machine: the user behind a Unix socket, loopback, a network of one machine.
func peerOf(r *http.Request, socket bool) (peer string, local bool) {
	if socket {
		user, _, _ := strings.Cut(r.RemoteAddr, ",")
		return user, true
	}
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return "unknown", false
	}
	ip := from.Addr().Unmap().WithZone("")
	switch {
	case ip.IsLoopback():
		return "loopback", true
	case ip.Is6():
		// One machine has as many addresses there as it likes.
		network, _ := ip.Prefix(64)
		return network.String(), false
	}
	return ip.String(), false
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
