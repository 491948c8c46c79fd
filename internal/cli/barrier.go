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

// barrier makes sure that what was written into a file survives a gateway that
// serves it. JSON-era gateways read the file, change it and write it back at
// every connect, without a lock (2026.2.9 to 2026.5.28 lost 2 to 40 of 100
// writes under stress). They do so one connect after the other: once a connect
// of ours has passed, every earlier one has, and every later one has read what
// we wrote. What is there then, stands.
func (a *app) barrier(ctx context.Context, session *seed.Session, s settings.Settings, p place, out pairing, clients []client) error {
	for range barrierTries {
		passed := a.connectOnce(ctx, s, p, out, clients)
		again, err := session.Pair(ctx, out.devices...)
		if err != nil {
			return err
		}
		stands := true
		for i, result := range again {
			stands = stands && (result.Outcome == seed.Unchanged || result.Outcome == seed.Revoked)
			out.results[i].Token = result.Token
		}
		if stands && passed {
			return nil
		}
		if !stands {
			a.log.Info().Msg("the gateway overwrote the file meanwhile; written again")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return &seed.StoreError{
		Path: out.store.Path, Err: errors.New("no connect to the running gateway could show that the write stands"),
		Mend: "bootstrap probe, to see why; then bootstrap seed once more, or restart the gateway",
	}
}

// connectOnce makes one handshake with a paired device of ours; false where it
// was refused.
func (a *app) connectOnce(ctx context.Context, s settings.Settings, p place, out pairing, clients []client) bool {
	id, result := out.self, out.results[0]
	for i := 0; result.Outcome == seed.Revoked || id.IsZero(); i++ {
		if i == len(clients) {
			return false
		}
		id, result = clients[i].bundle.Identity, out.results[i+1]
	}
	options := proof(s, p, id, result.Token, result.Scopes)
	// From here, whatever clients are told: the gateway of this folder is local.
	options.URL = p.Listen.URL()
	switch probe.Run(ctx, options).Outcome {
	case probe.OK:
		return true
	case probe.Unreachable, probe.StillStarting:
		return true // it serves no connects, so that none is under way
	}
	return false
}

// proof is the handshake that proves a pairing: the device token alone, asking
// for exactly the scopes that the device has.
func proof(s settings.Settings, p place, id identity.Identity, token string, scopes []string) probe.Options {
	return probe.Options{
		URL: p.URL, TLS: tlsOptions(s), Auth: probe.AuthDevice, Version: Release,
		Identity: id, DeviceToken: token, Scopes: scopes,
	}
}
