package cli

import (
	"context"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// sessionOptions are for a session that writes; live says that a gateway serves
// this state directory meanwhile.
func (a *app) sessionOptions(s settings.Settings, p place, live bool) seed.Options {
	options := p.seedOptions(s)
	options.Log = a.log
	if live {
		options.Live = connectAs(s, p)
	}
	return options
}

// connectAs dials the local address, not --gateway-url: the gateway of this state
// directory is local. One that serves nobody yet has no connect under way either.
func connectAs(s settings.Settings, p place) seed.Connect {
	return func(ctx context.Context, own seed.Credentials) bool {
		options := proof(s, p, own.Identity, own.Token, own.Scopes)
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
