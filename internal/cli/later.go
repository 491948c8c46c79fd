package cli

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// pairLater is for a database that this bootstrap does not understand: it is
// left alone, and a device of our own, with its key and token in a bundle, is
// paired over loopback once the gateway answers, with the gateway's own token.
//
// A device that has a token from an earlier start and is refused was removed by
// somebody. It is not let in again, though the gateway would.
//
// patience is how long a gateway that does not answer is waited for.
func (a *app) pairLater(ctx context.Context, s settings.Settings, p place, patience time.Duration) probe.Verdict {
	failed := func(err error) probe.Verdict {
		verdict := probe.Verdict{Outcome: probe.NotPaired, URL: p.shownURL(), Message: err.Error()}
		if fault := (*approve.Error)(nil); errors.As(err, &fault) && fault.Verdict.Outcome != "" {
			verdict = fault.Verdict
		}
		if hint := hintOf(err); hint != "" {
			verdict.Hints = []string{hint}
		}
		return verdict
	}
	lock, err := seed.Lock(ctx, p.seedOptions(s))
	if err != nil {
		return failed(err)
	}
	release := sync.OnceFunc(lock.Release)
	defer release()
	bundle, err := seed.OpenBundle(seed.BundlesDir(p.StateDir), seed.SelfName)
	if err != nil {
		return failed(err)
	}
	known, err := bundle.Credentials()
	if err != nil {
		return failed(err)
	}
	if known.Token != "" {
		release() // nothing is written from here on, and the gateway may take minutes
		options := proof(s, p, known.Identity, known.Token, known.Scopes)
		options.Wait, options.Progress = patience, a.progress()
		return probe.Run(ctx, options)
	}
	wanted := selfDevice(s, p, bundle.Identity)
	paired, err := approve.PairOverLoopback(ctx, approve.Options{
		Gateway:  loopback(s, p),
		Identity: bundle.Identity, Scopes: wanted.Scopes, DisplayName: "bootstrap: " + seed.SelfName,
		Wait: patience, Progress: a.progress(),
	})
	if err != nil {
		return failed(fmt.Errorf("cannot pair over loopback: %w", err))
	}
	err = bundle.Finish(seed.Result{
		Name: seed.SelfName, DeviceID: wanted.ID(), Token: paired.DeviceToken, Scopes: paired.Scopes,
	}, bundleURL(s, p))
	if err != nil {
		return failed(err)
	}
	return probe.Verdict{
		Outcome: probe.OK, OK: true, URL: p.shownURL(), DeviceID: wanted.ID(), Server: paired.Server,
		Scopes: paired.Scopes, Message: "paired over loopback",
	}
}

// loopback is this machine's own way to the gateway, with the gateway's secret.
func loopback(s settings.Settings, p place) approve.Gateway {
	token, password := sharedSecret(p)
	return approve.Gateway{URL: p.Listen.URL(), TLS: p.trust(s), Version: Release, Token: token, Password: password}
}
