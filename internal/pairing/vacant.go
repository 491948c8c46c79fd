package pairing

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// leaseProgress is how often a person hears that the wait goes on.
const leaseProgress = 15 * time.Second

// PairVacant pairs once it is certain that no gateway serves here: nobody
// may edit its store who is about to start a second one.
func (t *Target) PairVacant(ctx context.Context, imported identity.Identity) (Paired, error) {
	// A volume that is read-only may be paired all the same; that shows later.
	if t.Unready != nil && !errors.Is(t.Unready, syscall.EROFS) {
		return Paired{}, t.Unready
	}
	if t.IsLive(ctx) {
		return Paired{}, &RunningError{
			what: "a gateway, or something else, already listens on " + t.Listen.Address(),
			hint: "stop it first, or choose another port; to pair a device while it runs: " + t.OwnCommand("seed"),
		}
	}
	if imported.IsZero() && t.leavesEmpty() {
		t.Log.Info().Msg(untilDatabase)
		return Paired{Store: seed.Info{Kind: seed.Staged}}, nil
	}
	for {
		seeded, err := t.Pair(ctx, Wishes{Imported: imported, vacant: true})
		var held *heldError
		if !errors.As(err, &held) {
			return seeded, err
		}
		if err := t.waitForLease(ctx, held.lease); err != nil {
			return Paired{}, err
		}
	}
}

// leavesEmpty tells whether a first boot finds the state directory as it is: empty,
// with nothing to remember until there is a database. 2026.9.6 looks for what an
// earlier release has left where there is any entry, ours too, and takes 16.5 s in
// place of 12.5 to be ready.
func (t *Target) leavesEmpty() bool {
	if !t.Starts || t.Unready != nil || !t.Command.Understood || t.Release.Era() != gateway.EraSQLite ||
		len(t.Settings.Clients) > 0 || t.NeedsToken() {
		return false
	}
	entries, err := os.ReadDir(t.StateDir)
	return err == nil && len(entries) == 0
}

// IsLive tells whether something answers where the gateway would.
func (t *Target) IsLive(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	taken, err := gateway.PortTaken(ctx, t.Listen.Address())
	return taken && err == nil
}

// heldError says that a gateway under another host name has the owner lease. It
// may be dead, as after docker kill; nobody can tell from here.
type heldError struct{ lease seed.Lease }

func (e *heldError) Error() string {
	return fmt.Sprintf("the owner lease is held by pid %d on host %s until %s", e.lease.PID, e.lease.Host, e.lease.Expires.Format(time.TimeOnly))
}

// leaseLength is five minutes in 2026.9.5 and 2026.9.6, and a margin.
const leaseLength = 6 * time.Minute

// judgeLease says whether a gateway could start beside a lease: a heldError
// where it would have to wait, a RunningError where it never could.
func (t *Target) judgeLease(lease seed.Lease) error {
	if t.Release.Known && !t.Release.HasOwnerLease() {
		return nil // what another release left behind
	}
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("cannot read the host's name: %w", err)
	}
	switch lease.Holder(hostname, time.Now()) {
	case seed.HolderAlive:
		return servedError(lease)
	case seed.HolderUnknown:
		switch {
		case !t.Command.Understood: // such a command is never kept waiting
		case time.Until(lease.Expires) > leaseLength:
			return &RunningError{
				what: fmt.Sprintf("the owner lease of host %s lasts until %s, longer than any gateway asks for: a clock is wrong", lease.Host, lease.Expires.Format(time.RFC3339)),
				hint: "set the clock right (date -u), or start under the host name " + lease.Host,
			}
		default:
			return &heldError{lease: lease}
		}
	case seed.HolderGone:
	}
	return nil
}

func servedError(lease seed.Lease) error {
	return &RunningError{
		what: fmt.Sprintf("a gateway already serves this state directory (pid %d on host %s)", lease.PID, lease.Host),
		hint: "two gateways cannot share a state directory: stop the other one, or give this one a directory of its own",
	}
}

// waitForLease waits until a lease expires. It is never deleted: its owner may
// live on another machine, and shows that by renewing it.
func (t *Target) waitForLease(ctx context.Context, first seed.Lease) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for began, next := time.Now(), time.Now(); ; {
		if now := time.Now(); !now.Before(next) {
			next = now.Add(leaseProgress)
			t.Log.Info().Str("host", first.Host).Str("until", first.Expires.Format(time.TimeOnly)).
				Str("remaining", time.Until(first.Expires).Round(time.Second).String()).
				Str("hint", "a fixed host name (docker run --hostname, hostname: in compose) starts at once").
				Msg("waiting for the owner lease of a gateway that did not end cleanly")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		options := t.HastyOptions()
		if time.Since(began) > seed.BootPatience {
			options.Booting = nil
		}
		lease, held, err := seed.ReadLease(ctx, options)
		switch {
		case errors.As(err, new(*seed.BootingError)):
			continue // its database is its own until it listens
		case err != nil, !held:
			return err
		case lease.Expires.After(first.Expires):
			return servedError(lease)
		}
		if judged := t.judgeLease(lease); !errors.As(judged, new(*heldError)) {
			return judged
		}
	}
}

// IsServed tells whether a gateway serves the state directory, for a command that
// may seed beside one; one that boots is waited for.
func (t *Target) IsServed(ctx context.Context) (bool, error) {
	if err := seed.AwaitBoot(ctx, t.SeedOptions()); err != nil {
		return false, err
	}
	return t.IsLive(ctx), nil
}

// bootingPID is the process of a gateway that boots here. One of another user, or in
// another container, is not seen. What is reached at the port of the settings may be
// another gateway, where this one's port is in its command alone.
func (t *Target) bootingPID(ctx context.Context) (pid int, boots bool) {
	if t.Release.Era() == gateway.EraJSON {
		return 0, false
	}
	reached := t.isReached(ctx)
	if reached && t.Starts {
		return 0, false
	}
	process, running := gateway.Serving(t.StateDir)
	if !running || !process.Boots || reached && !gateway.ServedElsewhere(t.Listen.Port, t.StateDir) {
		return 0, false
	}
	return process.PID, true
}

// SetPort says how to name a port that stands in the gateway's command alone.
func SetPort(port string) string {
	return "set OPENCLAW_GATEWAY_PORT=" + port + " or gateway.port, or give --gateway-url ws://" + net.JoinHostPort("127.0.0.1", port)
}
