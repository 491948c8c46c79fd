package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// elsewhere is a gateway that runs on the state folder, though nothing answers
// where it is looked for: often its port stands in its command alone.
type elsewhere struct {
	pid  int
	port int // 0 where nobody tells
}

// findElsewhere asks the owner lease, which names the port, and then the
// processes that can be seen.
func findElsewhere(ctx context.Context, p place) (elsewhere, bool) {
	if !isOwnGateway(p) || answers(ctx, p) {
		return elsewhere{}, false
	}
	hostname, err := os.Hostname()
	lease, held, leaseErr := readLease(ctx, p.StateDir)
	if err == nil && leaseErr == nil && held && lease.Holder(hostname, time.Now()) == statedb.HolderAlive {
		return elsewhere{pid: lease.PID, port: lease.Port}, true
	}
	process, found := gateway.Serving(p.StateDir)
	return elsewhere{pid: process.PID, port: process.Port}, found
}

// isOwnGateway tells whether the gateway that is asked is this machine's, and so
// the one of this state folder.
func isOwnGateway(p place) bool {
	return p.URL == p.Listen.URL() || approve.Gateway{URL: p.URL}.IsLoopback()
}

// answers tells whether something takes connections at the URL, which may be
// another place than where the gateway would listen by its settings.
func answers(ctx context.Context, p place) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	taken, err := gateway.PortTaken(ctx, net.JoinHostPort(hostAndPort(p.URL)))
	return taken && err == nil
}

// hostAndPort are those of a gateway's URL.
func hostAndPort(address string) (host, port string) {
	at, err := url.Parse(address)
	switch {
	case err != nil:
		return "", ""
	case at.Port() != "":
		return at.Hostname(), at.Port()
	case at.Scheme == "wss":
		return at.Hostname(), "443"
	}
	return at.Hostname(), "80"
}

// elsewhereFinding is what is seen, and the setting that leads there.
func (a *app) elsewhereFinding(e elsewhere, p place) finding {
	_, asked := hostAndPort(p.URL)
	out := finding{What: fmt.Sprintf("a gateway (pid %d) runs on this state folder, and nothing answers at %s: it still starts, or it listens elsewhere", e.pid, p.shownURL())}
	switch {
	case e.port == 0:
		out.Mend = "where its port stands in its command alone, " + setPort("PORT")
	case strconv.Itoa(e.port) == asked:
		out.Mend = "look at its log, and wait for it with: " + a.command("probe", "--wait", "120s")
	default:
		out.What = fmt.Sprintf("a gateway (pid %d) serves this state folder at port %d, and not at %s", e.pid, e.port, p.shownURL())
		out.Mend = setPort(strconv.Itoa(e.port))
	}
	return out
}

// setPort is how a port is told that stands in the gateway's command alone.
func setPort(port string) string {
	return "set OPENCLAW_GATEWAY_PORT=" + port + " or gateway.port, or give --gateway-url ws://" + net.JoinHostPort("127.0.0.1", port)
}

// hintAtHome puts first what this state folder tells about a refusal: where its
// gateway is, or its token.
func (a *app) hintAtHome(ctx context.Context, p place, verdict *probe.Verdict) {
	var hint string
	switch verdict.Outcome {
	case probe.Unreachable:
		if other, found := findElsewhere(ctx, p); found {
			seen := a.elsewhereFinding(other, p)
			hint = seen.What + "; " + seen.Mend
		}
	case probe.GatewayAuth:
		if file := madeToken(p); file != "" {
			hint = "bootstrap run has made the gateway's token; show it with --gateway-token-file " + shell.Quote(file)
		}
	}
	if hint != "" {
		verdict.Hints = append([]string{hint}, verdict.Hints...)
	}
}

// refusedAtHome does so with an error that is a verdict.
func (a *app) refusedAtHome(ctx context.Context, p place, err error) error {
	if refused := (*refusedError)(nil); errors.As(err, &refused) {
		a.hintAtHome(ctx, p, &refused.verdict)
	}
	return err
}

// madeToken is the file with the gateway's token that an earlier run has made;
// empty where there is none, or where the gateway has one of its own.
func madeToken(p place) string {
	path := seed.GatewayTokenPath(p.StateDir)
	if _, err := os.Lstat(path); err != nil || p.Auth.Secret.IsSet() || !isOwnGateway(p) {
		return ""
	}
	return path
}
