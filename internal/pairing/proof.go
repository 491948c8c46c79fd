package pairing

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
)

// SessionOptions are for a session that writes; live says that a gateway serves
// this state directory meanwhile.
func (t *Target) SessionOptions(live bool) seed.Options {
	options := t.SeedOptions()
	if live {
		options.Live = t.connect
	}
	return options
}

// connect dials the local address, not --gateway-url: the gateway of this state
// directory is local. One that serves nobody yet has no connect under way either.
func (t *Target) connect(ctx context.Context, own seed.Credentials) bool {
	options := t.Proof(own.Identity, own.Token, own.Scopes)
	options.URL = t.Listen.URL()
	switch probe.Run(ctx, options).Outcome {
	case probe.OK, probe.Unreachable, probe.StillStarting:
		return true
	}
	return false
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

// PairOverLoopback is for a database that this bootstrap does not understand: it is
// left alone, and a device of our own, with its key and token in a bundle, is
// paired over loopback once the gateway answers, with the gateway's own token.
//
// A device that has a token from an earlier start and is refused was removed by
// somebody. It is not let in again, though the gateway would.
//
// patience is how long a gateway that does not answer is waited for.
func (t *Target) PairOverLoopback(ctx context.Context, patience time.Duration) probe.Verdict {
	failed := func(err error) probe.Verdict {
		verdict := probe.Verdict{Outcome: probe.NotPaired, URL: t.ShownURL(), Message: err.Error()}
		if fault := (*approve.Error)(nil); errors.As(err, &fault) && fault.Verdict.Outcome != "" {
			verdict = fault.Verdict
		}
		if hint := HintOf(err); hint != "" {
			verdict.Hints = []string{hint}
		}
		return verdict
	}
	lock, err := seed.Lock(ctx, t.SeedOptions())
	if err != nil {
		return failed(err)
	}
	release := sync.OnceFunc(lock.Release)
	defer release()
	bundle, err := seed.OpenBundle(seed.BundlesDir(t.StateDir), seed.SelfName)
	if err != nil {
		return failed(err)
	}
	known, err := bundle.Credentials()
	if err != nil {
		return failed(err)
	}
	if known.Token != "" {
		release() // nothing is written from here on, and the gateway may take minutes
		options := t.Proof(known.Identity, known.Token, known.Scopes)
		options.Wait, options.Progress = patience, t.Progress()
		return probe.Run(ctx, options)
	}
	wanted := t.selfDevice(bundle.Identity)
	paired, err := approve.PairOverLoopback(ctx, approve.Options{
		Gateway:  t.Loopback(),
		Identity: bundle.Identity, Scopes: wanted.Scopes, DisplayName: "bootstrap: " + seed.SelfName,
		Wait: patience, Progress: t.Progress(),
	})
	if err != nil {
		return failed(fmt.Errorf("cannot pair over loopback: %w", err))
	}
	err = bundle.Finish(seed.Result{
		Name: seed.SelfName, DeviceID: wanted.ID(), Token: paired.DeviceToken, Scopes: paired.Scopes,
	}, t.BundleURL())
	if err != nil {
		return failed(err)
	}
	return probe.Verdict{
		Outcome: probe.OK, OK: true, URL: t.ShownURL(), DeviceID: wanted.ID(), Server: paired.Server,
		Scopes: paired.Scopes, Message: "paired over loopback",
	}
}

// Loopback is this machine's own way to the gateway, with the gateway's secret.
func (t *Target) Loopback() approve.Gateway {
	token, password := t.SharedSecret()
	return approve.Gateway{URL: t.Listen.URL(), TLS: t.Trust(), Version: t.Version, Token: token, Password: password}
}
