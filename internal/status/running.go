package status

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Running is a gateway that runs on the state directory, though it does not answer at the
// URL: often its port is in its command alone.
type Running struct {
	PID  int
	Port int // 0 where unknown
}

// FindRunning asks the owner lease, which names the port, and then the processes that
// can be seen. The database of one that boots is left alone.
func FindRunning(ctx context.Context, t *pairing.Target) (Running, bool) {
	if !t.IsLocal() || t.Answers(ctx) && !answersForAnother(t) {
		return Running{}, false
	}
	process, found := gateway.Serving(t.StateDir)
	if process.Boots {
		return Running{PID: process.PID, Port: process.Port}, true
	}
	hostname, err := os.Hostname()
	lease, held, leaseErr := seed.ReadLease(ctx, t.HastyOptions())
	if err == nil && leaseErr == nil && held && lease.Holder(hostname, time.Now()) == seed.HolderAlive {
		return Running{PID: lease.PID, Port: lease.Port}, true
	}
	return Running{PID: process.PID, Port: process.Port}, found
}

// answersForAnother tells whether what answers at the URL is another directory's gateway.
func answersForAnother(t *pairing.Target) bool {
	_, text := pairing.HostAndPort(t.URL)
	port, err := strconv.Atoi(text)
	return err == nil && gateway.ServedElsewhere(port, t.StateDir)
}

// finding is what is seen, and the setting that leads there.
func (r Running) finding(t *pairing.Target) Finding {
	_, asked := pairing.HostAndPort(t.URL)
	out := Finding{What: fmt.Sprintf("a gateway (pid %d) runs on this state directory, and does not answer at %s: it still starts, or it listens elsewhere", r.PID, t.ShownURL())}
	switch {
	case r.Port == 0:
		out.Fix = "where its port is in its command alone, " + pairing.SetPort("PORT")
	case strconv.Itoa(r.Port) == asked:
		out.Fix = "look at its log, and wait for it with: " + t.OwnCommand("probe", "--wait", "120s")
	default:
		out.What = fmt.Sprintf("a gateway (pid %d) serves this state directory at port %d, and not at %s", r.PID, r.Port, t.ShownURL())
		out.Fix = pairing.SetPort(strconv.Itoa(r.Port))
	}
	return out
}

// AddLocalHint puts first what this state directory tells about a refusal: where its
// gateway is, or its token.
func AddLocalHint(ctx context.Context, t *pairing.Target, verdict *probe.Verdict) {
	add := func(hint string) { verdict.Hints = append([]string{hint}, verdict.Hints...) }
	switch verdict.Outcome {
	case probe.Unreachable, probe.NotPaired, probe.GatewayAuth:
		if other, found := FindRunning(ctx, t); found {
			seen := other.finding(t)
			add(seen.What + "; " + seen.Fix)
		} else if file := madeToken(t); file != "" && verdict.Outcome == probe.GatewayAuth {
			add("bootstrap run has made the gateway's token; show it with --gateway-token-file " + shell.Quote(file))
		}
	}
}

// WithLocalHint does so with an error that is a verdict.
func WithLocalHint(ctx context.Context, t *pairing.Target, err error) error {
	if refused := (*pairing.RefusedError)(nil); errors.As(err, &refused) {
		AddLocalHint(ctx, t, &refused.Verdict)
	}
	return err
}

// madeToken is the file with the gateway's token that an earlier run has made;
// empty where there is none, or where the gateway has one of its own.
func madeToken(t *pairing.Target) string {
	path := seed.GatewayTokenPath(t.StateDir)
	if _, err := os.Lstat(path); err != nil || t.Auth.Secret.IsSet() || !t.IsLocal() {
		return ""
	}
	return path
}
