package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// leaseProgress is how often a person hears that the wait goes on.
const leaseProgress = 15 * time.Second

// vacant makes sure that no gateway serves here: nobody may edit its store who
// is about to start a second one.
func (a *app) vacant(ctx context.Context, p place) error {
	dial, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	taken, err := gateway.PortTaken(dial, p.Listen.Address())
	if err != nil {
		a.log.Warn().Err(err).Msg("going on without knowing whether a gateway runs here")
	}
	if taken {
		return &runningError{
			what: "a gateway, or something else, already listens on " + p.Listen.Address(),
			hint: "stop it first, or choose another port; to pair a device while it runs: bootstrap seed",
		}
	}
	return a.waitForLease(ctx, p)
}

// waitForLease waits for the lease of a gateway that was killed under another
// host name. It is never deleted: its owner may live on another machine.
func (a *app) waitForLease(ctx context.Context, p place) error {
	if p.Release.Known && !p.Release.HasOwnerLease() {
		return nil
	}
	hostname, err := os.Hostname()
	if err != nil {
		return fmt.Errorf("cannot read the host's name: %w", err)
	}
	var first time.Time
	for next := time.Now(); ; {
		lease, held, err := readLease(ctx, p.StateDir)
		if err != nil || !held {
			return err
		}
		holder := lease.Holder(hostname, time.Now())
		switch {
		case holder == statedb.HolderGone:
			return nil
		case holder == statedb.HolderAlive, !first.IsZero() && lease.Expires.After(first):
			return &runningError{
				what: fmt.Sprintf("a gateway already serves this state folder (pid %d on host %s)", lease.PID, lease.Host),
				hint: "two gateways cannot share a state folder: stop the other one, or give this one a folder of its own",
			}
		case !p.Command.Understood:
			return nil // such a command is never kept waiting
		}
		first = lease.Expires
		if now := time.Now(); !now.Before(next) {
			next = now.Add(leaseProgress)
			a.log.Info().Str("host", lease.Host).Str("until", lease.Expires.Format(time.TimeOnly)).
				Str("remaining", time.Until(lease.Expires).Round(time.Second).String()).
				Str("hint", "a fixed host name (docker run --hostname, hostname: in compose) starts at once").
				Msg("waiting for the owner lease of a gateway that did not end cleanly")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
}

func readLease(ctx context.Context, stateDir string) (lease statedb.Lease, held bool, err error) {
	db, err := statedb.Open(ctx, stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return lease, false, nil
	}
	if err != nil {
		return lease, false, err
	}
	lease, held, err = db.OwnerLease(ctx)
	return lease, held, errors.Join(err, db.Close())
}
