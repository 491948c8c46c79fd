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
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

// elsewhere is a gateway that runs on the state directory, though nothing answers
// where it is looked for: often its port stands in its command alone.
type elsewhere struct {
	pid  int
	port int // 0 where nobody tells
}

// findElsewhere asks the owner lease, which names the port, and then the
// processes that can be seen.
func findElsewhere(ctx context.Context, t *pairing.Target) (elsewhere, bool) {
	if !isOwnGateway(t) || answers(ctx, t) {
		return elsewhere{}, false
	}
	hostname, err := os.Hostname()
	lease, held, leaseErr := seed.ReadLease(ctx, t.StateDir)
	if err == nil && leaseErr == nil && held && lease.Holder(hostname, time.Now()) == seed.HolderAlive {
		return elsewhere{pid: lease.PID, port: lease.Port}, true
	}
	process, found := gateway.Serving(t.StateDir)
	return elsewhere{pid: process.PID, port: process.Port}, found
}

// isOwnGateway tells whether the gateway that is asked is this machine's, and so
// the one of this state directory.
func isOwnGateway(t *pairing.Target) bool {
	return t.URL == t.Listen.URL() || approve.Gateway{URL: t.URL}.IsLoopback()
}

// answers tells whether something takes connections at the URL, which may be
// another place than where the gateway would listen by its settings.
func answers(ctx context.Context, t *pairing.Target) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	taken, err := gateway.PortTaken(ctx, net.JoinHostPort(hostAndPort(t.URL)))
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
func (a *app) elsewhereFinding(e elsewhere, t *pairing.Target) finding {
	_, asked := hostAndPort(t.URL)
	out := finding{What: fmt.Sprintf("a gateway (pid %d) runs on this state directory, and nothing answers at %s: it still starts, or it listens elsewhere", e.pid, t.ShownURL())}
	switch {
	case e.port == 0:
		out.Mend = "where its port stands in its command alone, " + pairing.SetPort("PORT")
	case strconv.Itoa(e.port) == asked:
		out.Mend = "look at its log, and wait for it with: " + a.command("probe", "--wait", "120s")
	default:
		out.What = fmt.Sprintf("a gateway (pid %d) serves this state directory at port %d, and not at %s", e.pid, e.port, t.ShownURL())
		out.Mend = pairing.SetPort(strconv.Itoa(e.port))
	}
	return out
}

// hintAtHome puts first what this state directory tells about a refusal: where its
// gateway is, or its token.
func (a *app) hintAtHome(ctx context.Context, t *pairing.Target, verdict *probe.Verdict) {
	var hint string
	switch verdict.Outcome {
	case probe.Unreachable:
		if other, found := findElsewhere(ctx, t); found {
			seen := a.elsewhereFinding(other, t)
			hint = seen.What + "; " + seen.Mend
		}
	case probe.GatewayAuth:
		if file := madeToken(t); file != "" {
			hint = "bootstrap run has made the gateway's token; show it with --gateway-token-file " + shell.Quote(file)
		}
	}
	if hint != "" {
		verdict.Hints = append([]string{hint}, verdict.Hints...)
	}
}

// refusedAtHome does so with an error that is a verdict.
func (a *app) refusedAtHome(ctx context.Context, t *pairing.Target, err error) error {
	if refused := (*pairing.RefusedError)(nil); errors.As(err, &refused) {
		a.hintAtHome(ctx, t, &refused.Verdict)
	}
	return err
}

// madeToken is the file with the gateway's token that an earlier run has made;
// empty where there is none, or where the gateway has one of its own.
func madeToken(t *pairing.Target) string {
	path := seed.GatewayTokenPath(t.StateDir)
	if _, err := os.Lstat(path); err != nil || t.Auth.Secret.IsSet() || !isOwnGateway(t) {
		return ""
	}
	return path
}
