package pairing

import (
	"context"
	"errors"
	"net"
	"net/url"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// ExampleGateway is a gateway command for hints. It starts on an empty volume, too.
const ExampleGateway = "openclaw gateway --port 18789 --allow-unconfigured"

// IsLocal tells whether the gateway that is asked is this machine's, and so
// the one of this state directory.
func (t *Target) IsLocal() bool {
	return t.URL == t.Listen.URL() || approve.Gateway{URL: t.URL}.IsLoopback()
}

// Answers tells whether something takes connections at the URL, which may be
// another place than where the gateway would listen by its settings.
func (t *Target) Answers(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	taken, err := gateway.PortTaken(ctx, net.JoinHostPort(HostAndPort(t.URL)))
	return taken && err == nil
}

// HostAndPort are those of a gateway's URL.
func HostAndPort(address string) (host, port string) {
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

// credentialsPoll is how often a state directory without credentials is looked at.
const credentialsPoll = 250 * time.Millisecond

// AwaitCredentials reads what there is to prove with, again and again until it is
// enough or patience is over: on an empty volume the gateway makes the identity, and
// "run" pairs it as soon as the gateway listens. withToken wants the device token, too.
// The error is a [*seed.BootingError] where the gateway boots and nothing could be read:
// its database is left alone, for a HEALTHCHECK asks at any moment.
func (t *Target) AwaitCredentials(ctx context.Context, withToken bool, patience time.Duration) (seed.Credentials, error) {
	began, progress := time.Now(), t.Progress()
	credentials, err := seed.ReadCredentials(ctx, t.HastyOptions())
	for err == nil || errors.As(err, new(*seed.BootingError)) {
		elapsed := time.Since(began)
		isEnough := !credentials.Identity.IsZero() && (!withToken || credentials.Token != "")
		if isEnough || elapsed >= patience {
			break
		}
		progress(probe.Waiting{Elapsed: elapsed, Remaining: patience - elapsed, Reason: "this device is not paired here yet"})
		select {
		case <-ctx.Done():
			return credentials, err
		case <-time.After(min(credentialsPoll, patience-elapsed)):
		}
		if !seed.HasDatabase(t.StateDir) || t.isReached(ctx) { // not every boot is seen
			credentials, err = seed.ReadCredentials(ctx, t.HastyOptions())
		}
	}
	return credentials, err
}

// isReached tells whether the gateway of this state directory takes connections.
func (t *Target) isReached(ctx context.Context) bool {
	return t.IsLive(ctx) || t.IsLocal() && t.Answers(ctx)
}
