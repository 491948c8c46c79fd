package cli

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

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
	pruned       []seed.Result
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

// lockPatience is how long the lock may take before a person hears of it.
const lockPatience = 2 * time.Second

// inSession does something with the state folder locked.
func (a *app) inSession(ctx context.Context, s settings.Settings, p place, do func(*seed.Session) error) error {
	waiting := time.AfterFunc(lockPatience, func() {
		a.log.Info().Str("at_most", s.LockTimeout.String()).Msg("waiting for another bootstrap that has this state folder locked")
	})
	session, err := seed.Open(ctx, p.seedOptions(s))
	waiting.Stop()
	if err != nil {
		return err
	}
	return errors.Join(do(session), session.Close())
}

// wishes are what one command wants beyond the settings.
type wishes struct {
	imported identity.Identity
	reseed   []string // names of devices to pair as if for the first time
	prune    bool     // remove what was seeded and is not wanted any more
	live     bool     // a gateway serves this state folder meanwhile
}

// pair makes sure that there is an identity, and that it and every client that
// was named are paired.
func (a *app) pair(ctx context.Context, s settings.Settings, p place, w wishes) (out pairing, err error) {
	err = a.inSession(ctx, s, p, func(session *seed.Session) (err error) {
		out, err = a.pairIn(ctx, session, s, p, w)
		return err
	})
	if err == nil {
		a.tell(out)
	}
	return out, err
}

func (a *app) pairIn(ctx context.Context, session *seed.Session, s settings.Settings, p place, w wishes) (out pairing, err error) {
	self, created, err := session.Self(ctx, w.imported)
	if err != nil {
		return out, err
	}
	if created {
		a.log.Info().Str("device", shortID(self.DeviceID())).Msg("identity created")
	}
	clients, err := openClients(s, p)
	if err != nil {
		return out, err
	}
	out.self, out.devices = self, wantedDevices(s, self, clients)
	if err := markReseeded(out.devices, w.reseed); err != nil {
		return out, err
	}
	if out.results, err = session.Pair(ctx, out.devices...); err != nil {
		return out, err
	}
	if out.store = session.Store(); w.live && out.store.Kind == seed.JSON {
		if err := a.barrier(ctx, session, s, p, out, clients); err != nil {
			return out, err
		}
	}
	for i, client := range clients {
		if err := client.finish(out.results[i+1], bundleURL(s, p)); err != nil {
			return out, err
		}
	}
	if w.prune {
		if out.pruned, err = session.Prune(ctx, out.devices...); err != nil {
			return out, err
		}
	}
	if p.NeedsToken() {
		out.gatewayToken, created, err = session.GatewayToken()
		if created {
			a.log.Info().Str("file", filepath.Join(seed.Dir(p.StateDir), "gateway-token")).
				Msg("gateway token created: none was set, and the gateway would refuse to listen")
		}
	}
	return out, err
}

// wantedDevices are our own device, unless it has no key yet, and the clients'.
func wantedDevices(s settings.Settings, self identity.Identity, clients []client) []seed.Device {
	var devices []seed.Device
	if !self.IsZero() {
		devices = append(devices, selfDevice(s, self))
	}
	for _, client := range clients {
		devices = append(devices, client.device)
	}
	return devices
}

// markReseeded marks the devices of the given names; every name must be one.
func markReseeded(devices []seed.Device, names []string) error {
	for _, name := range names {
		i := slices.IndexFunc(devices, func(d seed.Device) bool { return d.Name == name })
		if i < 0 {
			return &usageError{
				err:  fmt.Errorf("--reseed: there is no device %q among those that are wanted", name),
				hint: "name it with --client " + name + " too",
			}
		}
		devices[i].Reseed = true
	}
	return nil
}

// selfDevice is the state folder's own device with the scopes it shall have.
func selfDevice(s settings.Settings, self identity.Identity) seed.Device {
	scopes := []string(s.Scopes)
	if len(scopes) == 0 {
		scopes, _ = seed.Scopes(string(s.Preset)) // checked when it was read
	}
	return seed.Device{Name: seed.SelfName, PublicKey: self.RawPublicKey(), Scopes: scopes, Local: true}
}

// tell logs one line a device.
func (a *app) tell(out pairing) {
	for _, result := range out.results {
		event := a.log.Info()
		message := "paired"
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
	for _, result := range out.pruned {
		a.log.Info().Str("name", result.Name).Str("device", shortID(result.DeviceID)).Msg("removed: it is not wanted any more")
	}
}

// brief shortens scopes for a line that people read.
func brief(scopes []string) string {
	return strings.ReplaceAll(strings.Join(scopes, ","), "operator.", "")
}

// shortID is enough of a device id to tell devices apart.
func shortID(deviceID string) string { return deviceID[:min(12, len(deviceID))] }
