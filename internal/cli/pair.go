package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// pairing is what seeding left: our own device with its token, and how it went
// with every device. self is zero where a gateway is still to make it; gatewayToken
// is empty unless one had to be made.
type pairing struct {
	self         identity.Identity
	devices      []seed.Device
	results      []seed.Result
	pruned       []seed.Result
	store        seed.Info
	gatewayToken string
	// later: the store was left alone, and pairing waits for the gateway.
	later bool
}

// own is the result for the state folder's own device.
func (p pairing) own() seed.Result { return p.named(seed.SelfName) }

// named is the result for the device of that name, which the zero one has not.
func (p pairing) named(name string) seed.Result {
	for _, result := range p.results {
		if result.Name == name {
			return result
		}
	}
	return seed.Result{}
}

// wishes are what one command wants beyond the settings.
type wishes struct {
	imported identity.Identity
	known    identity.Identity // what the device becomes where there is none, before a new one is made
	reseed   []string          // names of devices to pair as if for the first time
	prune    bool              // remove what was seeded and is not wanted any more
	live     bool              // a gateway serves this state folder meanwhile
	vacant   bool              // none may: a lease on the folder ends it
	// before is how it went the last time: what has not changed since is not reported.
	before []seed.Result
}

// pair makes sure that there is an identity, and that it and every client that
// was named are paired.
func (a *app) pair(ctx context.Context, s settings.Settings, p place, w wishes) (out pairing, err error) {
	err = seed.InSession(ctx, a.sessionOptions(s, p, w.live), func(session *seed.Session) (err error) {
		out, err = a.pairIn(ctx, session, s, p, w)
		return err
	})
	if err != nil && w.vacant {
		out, err = a.alreadyPaired(ctx, s, p, err)
	}
	if err == nil {
		a.tell(out, w.before)
	}
	return out, err
}

func (a *app) pairIn(ctx context.Context, session *seed.Session, s settings.Settings, p place, w wishes) (out pairing, err error) {
	if w.vacant {
		if err := leaseAllows(ctx, session, p); err != nil {
			return out, err
		}
	}
	self, created, err := session.Self(ctx, w.imported, w.known)
	if err != nil {
		return out, err
	}
	switch {
	case created:
		a.log.Info().Str("device", shortID(self.DeviceID())).Msg("identity created")
	case self.IsZero():
		a.log.Info().Msg("no identity yet: the gateway makes it with its database, and then it is paired")
	}
	clients, err := openClients(s, p)
	if err != nil {
		return out, err
	}
	out.self, out.devices = self, wantedDevices(s, p, self, clients)
	if clients, err = addReseeded(session, s, p, &out, clients, w.reseed); err != nil {
		return out, err
	}
	if err := distinct(out.devices); err != nil {
		return out, err
	}
	if out.results, err = session.Pair(ctx, out.devices...); err != nil {
		return out, err
	}
	for i := range out.devices {
		out.devices[i].Reseed = false // once is enough
	}
	out.store = session.Store()
	if err := finishClients(clients, out.results, bundleURL(s, p)); err != nil {
		return out, err
	}
	if w.prune {
		if out.pruned, err = session.Prune(ctx, out.devices...); err != nil {
			return out, err
		}
	}
	return out, a.tokenFor(session, p, &out)
}

// tokenFor makes a gateway token where the gateway could not listen without.
func (a *app) tokenFor(session *seed.Session, p place, out *pairing) (err error) {
	if !p.NeedsToken() {
		return nil
	}
	var created bool
	out.gatewayToken, created, err = session.GatewayToken()
	if created {
		a.log.Info().Str("file", seed.GatewayTokenPath(p.StateDir)).
			Msg("gateway token created: none was set, and the gateway would refuse to listen")
	}
	return err
}

// alreadyPaired saves a start from a volume that cannot be written: where
// everything is paired already, only bookkeeping has failed.
func (a *app) alreadyPaired(ctx context.Context, s settings.Settings, p place, failed error) (pairing, error) {
	if !errors.As(failed, new(*seed.StoreError)) || p.NeedsToken() {
		return pairing{}, failed
	}
	credentials, err := seed.ReadCredentials(ctx, p.seedOptions(s))
	if err != nil || credentials.Identity.IsZero() || credentials.Token == "" {
		return pairing{}, failed
	}
	clients, err := readClients(s, p)
	if err != nil || len(clients) != len(s.Clients) {
		return pairing{}, failed
	}
	out := pairing{self: credentials.Identity, devices: wantedDevices(s, p, credentials.Identity, clients)}
	out.results, out.store, err = seed.Plan(ctx, p.seedOptions(s), out.devices...)
	for _, result := range out.results {
		if result.Outcome != seed.Unchanged {
			return pairing{}, failed
		}
	}
	if err != nil {
		return pairing{}, failed
	}
	for i := range out.results {
		if out.results[i].Name == seed.SelfName {
			out.results[i].Token = credentials.Token
		}
	}
	a.log.Warn().Err(failed).Str("hint", hintOf(failed)).Msg("the volume cannot be written, but everything is paired already; going on")
	return out, nil
}

// addReseeded marks the devices of the given names. One that is not among the
// wanted ones comes from the ledger, with the scopes that it had.
func addReseeded(session *seed.Session, s settings.Settings, p place, out *pairing, clients []client, names []string) ([]client, error) {
	for _, name := range names {
		i := slices.IndexFunc(out.devices, func(d seed.Device) bool { return d.Name == name })
		if i >= 0 {
			out.devices[i].Reseed = true
			continue
		}
		devices, err := session.Seeded(name)
		if err != nil {
			return nil, err
		}
		c := client{device: devices[len(devices)-1]}
		bundle, err := seed.ReadBundle(bundlesDir(s, p), name)
		if err != nil {
			return nil, err
		}
		if !bundle.Identity.IsZero() {
			c = c.withBundle(bundle)
		}
		c.device.Reseed = true
		clients, out.devices = append(clients, c), append(out.devices, c.device)
	}
	return clients, nil
}

// distinct refuses two names for one key.
func distinct(devices []seed.Device) error {
	names := map[string]string{}
	for _, device := range devices {
		if other, taken := names[device.ID()]; taken {
			return &usageError{
				err:  fmt.Errorf("--client: %q and %q have the same key: a device has one name", other, device.Name),
				hint: "a client has its own key, never the state folder's",
			}
		}
		names[device.ID()] = device.Name
	}
	return nil
}

// wantedDevices are our own device, unless it has no key yet, and the clients'.
func wantedDevices(s settings.Settings, p place, self identity.Identity, clients []client) []seed.Device {
	var devices []seed.Device
	if !self.IsZero() {
		devices = append(devices, selfDevice(s, p, self))
	}
	for _, client := range clients {
		devices = append(devices, client.device)
	}
	return devices
}

// selfDevice is the state folder's own device with the scopes it shall have.
func selfDevice(s settings.Settings, p place, self identity.Identity) seed.Device {
	scopes := []string(s.Scopes)
	if len(scopes) == 0 {
		scopes, _ = seed.Scopes(string(s.Preset), p.Release) // checked when it was read
	}
	return seed.Device{Name: seed.SelfName, PublicKey: self.RawPublicKey(), Key: self, Scopes: scopes, Local: true}
}

// tell logs one line a device, but not for those that were like that before.
func (a *app) tell(out pairing, before []seed.Result) {
	known := make(map[string]seed.Result, len(before))
	for _, result := range before {
		known[result.DeviceID] = result
	}
	for _, result := range out.results {
		if earlier, was := known[result.DeviceID]; was && sameState(earlier, result) {
			continue
		}
		event := a.log.Info()
		message := "paired"
		reseed := func() string { return a.command("seed", "--reseed", result.Name) }
		switch result.Outcome {
		case seed.Unchanged:
			message = "already paired, nothing changed"
		case seed.Updated:
			message = "pairing completed"
		case seed.Created:
			if out.store.Kind == seed.Staged {
				message = "to be paired as soon as the gateway has made its database"
			}
			if result.Again {
				message = "paired again: the store it was in is gone, or it was reseeded"
			}
		case seed.Revoked:
			event = a.log.Warn().Str("hint", "to pair it again: "+reseed())
			message = "not paired: somebody removed this device, and it stays removed"
		}
		if len(result.Wider) > 0 {
			event = a.log.Warn().Str("hint", "to take the rest back: "+reseed())
			message += "; it has more scopes than asked for, and keeps them"
		}
		event = event.Str("name", result.Name).Str("device", shortID(result.DeviceID)).Str("store", string(out.store.Kind))
		if len(result.Scopes) > 0 {
			event = event.Str("scopes", brief(result.Scopes))
		}
		if len(result.Wider) > 0 {
			event = event.Str("more_than_asked", brief(result.Wider))
		}
		event.Msg(message)
		for _, id := range result.Retired {
			a.log.Info().Str("name", result.Name).Str("device", shortID(id)).
				Msg("an earlier key of this client was retired: its bundle was made anew")
		}
	}
	for _, result := range out.pruned {
		a.log.Info().Str("name", result.Name).Str("device", shortID(result.DeviceID)).Msg("removed: it is not wanted any more")
	}
}

// sameState tells whether a device is where it was left.
func sameState(before, now seed.Result) bool {
	return before.DeviceID == now.DeviceID && !now.Written() && (now.Outcome == seed.Revoked) == (before.Outcome == seed.Revoked)
}

// brief shortens scopes for a line that people read.
func brief(scopes []string) string {
	return strings.ReplaceAll(strings.Join(scopes, ","), "operator.", "")
}

// shortID is enough of a device id to tell devices apart.
func shortID(deviceID string) string { return deviceID[:min(12, len(deviceID))] }
