package cli

import (
	"context"
	"errors"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// barrierTries bounds the barrier: a write is lost only to a connect that falls
// into the few milliseconds around it.
const barrierTries = 20

// barrierRefusals bounds it where the gateway refuses our device: ten refusals
// in a minute may lock an address out.
const barrierRefusals = 5

// barrier makes sure that a change of a file survives a gateway that serves it.
// JSON-era gateways read the file, change it and write it back at every
// connect, without a lock (2026.2.9 to 2026.5.28 lost 2 to 40 of 100 writes
// under stress). They do so one connect after the other: once a connect of ours
// has passed, every earlier one has, and every later one has read what we wrote.
// What is there then, stands. again makes the change once more, and tells
// whether it had to; connect says whether ours was let in.
func (a *app) barrier(ctx context.Context, path string, connect func(context.Context) bool, again func() (changed bool, err error)) error {
	refused := 0
	for range barrierTries {
		passed := connect(ctx)
		changed, err := again()
		if err != nil {
			return err
		}
		if changed {
			a.log.Info().Msg("the gateway overwrote the file meanwhile; written again")
		} else if passed {
			return nil
		}
		if !passed {
			refused++
		}
		if refused == barrierRefusals {
			break
		}
		if refused >= 2 && !changed {
			a.log.Warn().Msg("something answers at the gateway's port that does not let this folder's device in; the change is in the file, and nothing shows that it was overwritten")
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return &seed.StoreError{
		Path: path, Err: errors.New("the running gateway overwrote the file every time"),
		Mend: "bootstrap seed once more, or stop the gateway first",
	}
}

// needsBarrier tells whether a change was made beside a gateway that may still
// overwrite it.
func needsBarrier(session *seed.Session, live bool) bool {
	return live && session.Store().Kind == seed.JSON
}

// connectAs makes one handshake with a paired device of ours: from here,
// whatever clients are told, for the gateway of this folder is local. A gateway
// that serves nobody yet has no connect under way either.
func connectAs(s settings.Settings, p place, id identity.Identity, result seed.Result) func(context.Context) bool {
	return func(ctx context.Context) bool {
		if id.IsZero() || result.Token == "" {
			return false
		}
		options := proof(s, p, id, result.Token, result.Scopes)
		options.URL = p.Listen.URL()
		switch probe.Run(ctx, options).Outcome {
		case probe.OK, probe.Unreachable, probe.StillStarting:
			return true
		}
		return false
	}
}

// proof is the handshake that proves a pairing: the device token alone, asking
// for exactly the scopes that the device has.
func proof(s settings.Settings, p place, id identity.Identity, token string, scopes []string) probe.Options {
	return probe.Options{
		URL: p.URL, TLS: p.trust(s), Auth: probe.AuthDevice, Version: Release,
		Identity: id, DeviceToken: token, Scopes: scopes,
		// Not one that --gateway-url names: a proxy, or another machine.
		Started: p.starts && p.URL == p.Listen.URL(),
	}
}
