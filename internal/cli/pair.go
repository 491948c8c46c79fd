package cli

import (
	"context"
	"errors"
	"path/filepath"
	"strings"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// pairing is what seeding left: our own device with its token, and how it went
// with every device. gatewayToken is empty unless one had to be made.
type pairing struct {
	self         identity.Identity
	devices      []seed.Device
	results      []seed.Result
	store        seed.Info
	gatewayToken string
}

// own is the result for the state folder's own device.
func (p pairing) own() seed.Result {
	if len(p.results) == 0 {
		return seed.Result{}
	}
	return p.results[0]
}

// inSession does something with the state folder locked.
func (a *app) inSession(ctx context.Context, s settings.Settings, p place, do func(*seed.Session) error) error {
	session, err := seed.Open(ctx, p.seedOptions(s))
	if err != nil {
		return err
	}
	return errors.Join(do(session), session.Close())
}

// pair makes sure that there is an identity, and that it and every client that
// was named are paired.
func (a *app) pair(ctx context.Context, s settings.Settings, p place, imported identity.Identity) (out pairing, err error) {
	err = a.inSession(ctx, s, p, func(session *seed.Session) error {
		self, created, err := session.Self(ctx, imported)
		if err != nil {
			return err
		}
		if created {
			a.log.Info().Str("device", shortID(self.DeviceID())).Msg("identity created")
		}
		clients, err := a.openClients(s, p)
		if err != nil {
			return err
		}
		out.self = self
		out.devices = append(out.devices, selfDevice(s, self))
		for _, client := range clients {
			out.devices = append(out.devices, client.device)
		}
		if out.results, err = session.Pair(ctx, out.devices...); err != nil {
			return err
		}
		out.store = session.Store()
		for i, client := range clients {
			if err := client.finish(out.results[i+1], bundleURL(s, p)); err != nil {
				return err
			}
		}
		if p.NeedsToken() {
			out.gatewayToken, created, err = session.GatewayToken()
			if created {
				a.log.Info().Str("file", filepath.Join(seed.Dir(p.StateDir), "gateway-token")).
					Msg("gateway token created: none was set, and the gateway would refuse to listen")
			}
		}
		return err
	})
	if err != nil {
		return out, err
	}
	a.tell(out)
	return out, nil
}

// selfDevice is the state folder's own device with the scopes it shall have.
func selfDevice(s settings.Settings, self identity.Identity) seed.Device {
	scopes := []string(s.Scopes)
	if len(scopes) == 0 {
		scopes, _ = seed.Scopes(string(s.Preset)) // checked when it was read
	}
	return seed.Device{Name: "self", PublicKey: self.RawPublicKey(), Scopes: scopes, Local: true}
}

// client is a further device; its bundle is empty where it keeps its own key.
type client struct {
	device seed.Device
	bundle seed.Bundle
}

func (a *app) openClients(s settings.Settings, p place) ([]client, error) {
	dir := s.BundleDir
	if dir == "" {
		dir = seed.BundlesDir(p.StateDir)
	}
	var clients []client
	for _, wanted := range s.Clients {
		scopes, _ := seed.Scopes(wanted.Preset) // checked when it was read
		c := client{device: seed.Device{Name: wanted.Name, Scopes: scopes}}
		var err error
		if wanted.PublicKey != "" {
			c.device.PublicKey, err = identity.ParsePublicKey(wanted.PublicKey)
		} else if c.bundle, err = seed.OpenBundle(dir, wanted.Name); err == nil {
			c.device.PublicKey = c.bundle.Identity.RawPublicKey()
		}
		if err != nil {
			return nil, err
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// finish completes the bundle of a client that was paired.
func (c client) finish(result seed.Result, url string) error {
	if c.bundle.Dir == "" || result.Outcome == seed.Revoked {
		return nil
	}
	return c.bundle.Finish(result, url)
}

// bundleURL is where a client is told to find the gateway.
func bundleURL(s settings.Settings, p place) string {
	if s.GatewayURL != "" {
		return string(s.GatewayURL)
	}
	return p.URL
}

// tell logs one line a device.
func (a *app) tell(out pairing) {
	for _, result := range out.results {
		event := a.log.Info()
		message := "paired before the gateway asks"
		switch result.Outcome {
		case seed.Unchanged:
			message = "already paired, nothing changed"
		case seed.Updated:
			message = "pairing completed"
		case seed.Revoked:
			event = a.log.Warn().Str("hint", "to pair it again: bootstrap seed --reseed "+result.Name)
			message = "not paired: somebody removed this device, and it stays removed"
		}
		event = event.Str("name", result.Name).Str("device", shortID(result.DeviceID)).Str("store", string(out.store.Kind))
		if len(result.Scopes) > 0 {
			event = event.Str("scopes", brief(result.Scopes))
		}
		if len(result.Wider) > 0 {
			event = event.Str("more_than_asked", brief(result.Wider))
		}
		event.Msg(message)
	}
}

// brief shortens scopes for a line that people read.
func brief(scopes []string) string {
	return strings.ReplaceAll(strings.Join(scopes, ","), "operator.", "")
}

// shortID is enough of a device id to tell devices apart.
func shortID(deviceID string) string { return deviceID[:min(12, len(deviceID))] }
