package pairing

import (
	"context"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// SessionOptions are for a session that writes; live says that a gateway serves
// this state directory meanwhile.
func (t *Target) SessionOptions(live bool) seed.Options {
	options := t.SeedOptions()
	options.Log = t.Log
	if live {
		options.Live = t.connect()
	}
	return options
}

// connect dials the local address, not --gateway-url: the gateway of this state
// directory is local. One that serves nobody yet has no connect under way either.
func (t *Target) connect() seed.Connect {
	return func(ctx context.Context, own seed.Credentials) bool {
		options := t.Proof(own.Identity, own.Token, own.Scopes)
		options.URL = t.Listen.URL()
		switch probe.Run(ctx, options).Outcome {
		case probe.OK, probe.Unreachable, probe.StillStarting:
			return true
		}
		return false
	}
}

// Proof is the handshake that proves a pairing: the device token alone, asking
// for exactly the scopes that the device has.
func (t *Target) Proof(id identity.Identity, token string, scopes []string) probe.Options {
	return probe.Options{
		URL: t.URL, TLS: t.Trust(), Auth: probe.AuthDevice, Version: t.Version,
		Identity: id, DeviceToken: token, Scopes: scopes,
		// Not one that --gateway-url names: a proxy, or another machine.
		Started: t.Starts && t.URL == t.Listen.URL(),
	}
}

// bootProgress is how often a person hears that the gateway still boots.
const bootProgress = 10 * time.Second

// Progress logs now and then why the proof has to wait.
func (t *Target) Progress() func(probe.Waiting) {
	next := bootProgress
	return func(w probe.Waiting) {
		if w.Elapsed < next {
			return
		}
		next = w.Elapsed + bootProgress
		t.Log.Info().Str("elapsed", w.Elapsed.Round(time.Second).String()).
			Str("remaining", w.Remaining.Round(time.Second).String()).Msg("waiting for the gateway: " + w.Reason)
	}
}
