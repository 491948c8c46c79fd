package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// Page is an address at which a browser opens the Control UI.
type Page struct {
	// URL of the page's WebSocket, Origin of the page.
	URL, Origin string
	// Direct is the gateway's own address, not loopback: it is asked in the page's name
	// where the page cannot be reached from here.
	Direct string
	TLS    protocol.TLSOptions
	// Token and Password are the gateway's; without them its auth says no first.
	Token, Password string
	Version         string
	// Loopback: the browser calls the gateway localhost.
	Loopback bool
	// NoKey: the page makes no device key there, for want of a secure context.
	NoKey bool
	// NoLinks: the release knows no one-time links.
	NoLinks bool
}

// Browser connects as the Control UI of that page does, with its Origin and Host, but
// without a device: so that nothing is paired and no request is left behind. The
// gateway judges proxy, origin, its token and the device, in this order (2026.9.6).
func Browser(ctx context.Context, page Page) Verdict { return page.ask(ctx, attemptTimeout) }

// ask is [Browser]; patience is how long the gateway may take once it is reached.
func (p Page) ask(ctx context.Context, patience time.Duration) Verdict {
	v := Verdict{Auth: AuthShared, Attempts: 1, URL: protocol.DisplayURL(p.URL)}
	conn, direct, err := p.dial(ctx)
	if err == nil {
		defer conn.CloseNow()
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		_, err = protocol.Handshake(ctx, conn, protocol.ConnectRequest{
			ClientID: "openclaw-control-ui", ClientMode: "webchat", Version: p.Version, Platform: "linux",
			Role: "operator", Token: p.Token, Password: p.Password,
		})
	}
	v.judgePage(p, err)
	if direct {
		v.Message += " (asked at " + protocol.DisplayURL(p.Direct) + ", with that page's Host and Origin)"
	}
	v.OK = v.Outcome == OK
	return v
}

// dial reaches the gateway as the page does. A page on localhost is asked for at the
// gateway's own address first: to a gateway in a container its browser comes from
// another address than what connects in there, which may do more.
func (p Page) dial(ctx context.Context) (conn *protocol.Conn, direct bool, err error) {
	header := http.Header{"Origin": {p.Origin}}
	there := protocol.DialOptions{URL: p.URL, TLS: p.TLS, Header: header}
	there.TLS.Own = nil // a browser knows no file of the gateway's
	here := protocol.DialOptions{URL: p.Direct, TLS: p.TLS, Header: header}
	if at, err := url.Parse(p.URL); err == nil {
		here.Host = at.Host
	}
	ways := []protocol.DialOptions{there, here}
	if p.Loopback {
		ways = []protocol.DialOptions{here, there}
	}
	var first error
	for _, way := range ways {
		if way.URL == "" {
			continue
		}
		trying, cancel := context.WithTimeout(ctx, dialPatience)
		conn, err = protocol.Dial(trying, way)
		cancel()
		if !unseen(err) {
			return conn, way.Host != "", err
		}
		if first == nil || way.Host == "" {
			first = err // what is said of the page itself
		}
	}
	return nil, false, first
}

// dialPatience is how long a way to the gateway may take.
const dialPatience = 10 * time.Second

// unseen tells that the page is not seen from here, which says nothing about others.
func unseen(err error) bool {
	failed, is := errors.AsType[*protocol.TransportError](err)
	if !is {
		return false
	}
	switch failed.Kind {
	case protocol.Refused, protocol.Name, protocol.Unroutable, protocol.Timeout:
		return true
	}
	return false
}

func (v *Verdict) judgePage(page Page, err error) {
	refusal := (*protocol.Refusal)(nil)
	failed := (*protocol.TransportError)(nil)
	switch {
	case errors.As(err, &failed) && failed.Status == 403:
		v.Outcome, v.Message = GatewayAuth, fmt.Sprintf("a browser at %s is refused: a proxy there is not one that the gateway trusts (%s)", page.Origin, failed.Body)
	case errors.As(err, &refusal) && refusal.Kind == protocol.Origin:
		v.Outcome, v.Refusal = TLSOrOrigin, refusal
		v.Message = fmt.Sprintf("a browser at %s is refused: %s", page.Origin, refusal.Said())
	case errors.As(err, &refusal) && refusal.Kind == protocol.AuthToken && page.Token+page.Password != "":
		*v = Judge(AuthShared, page.URL, err)
	case page.NoKey && errors.As(err, &refusal) && (refusal.Kind == protocol.DeviceRequired || refusal.Kind == protocol.AuthToken):
		v.Outcome, v.Refusal = TLSOrOrigin, refusal
		v.Message = fmt.Sprintf("a browser at %s gets no further than %q: over plain http the Control UI of this release makes no device key", page.Origin, "Secure browser context required")
	case err == nil, errors.As(err, &refusal) && (refusal.Kind == protocol.DeviceRequired || refusal.Kind == protocol.AuthToken):
		if v.Outcome = NotPaired; page.Loopback {
			v.Outcome, v.Message = OK, "a browser at "+page.Origin+" is let in with the gateway's token, and nobody has to approve it"
			return
		}
		v.Message = "a browser at " + page.Origin + " reaches the gateway; a new one needs a link or an approval, once"
		if page.NoLinks {
			v.Message = strings.Replace(v.Message, "a link or ", "", 1)
		}
	default:
		*v = Judge(AuthShared, page.URL, err)
	}
}
