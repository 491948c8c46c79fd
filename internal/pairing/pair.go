package pairing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// Paired is what seeding left: our own device with its token, and how it went
// with every device. Self is zero where a gateway is still to make it; GatewayToken
// is empty unless one had to be made.
type Paired struct {
	Self         identity.Identity
	Devices      []seed.Device
	Results      []seed.Result
	Pruned       []seed.Result
	Store        seed.Info
	GatewayToken string
	// Deferred: the store was left alone, and pairing waits for the gateway.
	Deferred bool
}

// Own is the result for the state directory's own device.
func (p Paired) Own() seed.Result { return p.Named(seed.SelfName) }

// Named is the result for the device of that name, which the zero one has not.
func (p Paired) Named(name string) seed.Result {
	for _, result := range p.Results {
		if result.Name == name {
			return result
		}
	}
	return seed.Result{}
}

// Wishes are what one command wants beyond the settings.
type Wishes struct {
	Imported identity.Identity
	Known    identity.Identity // what the device becomes where there is none, before a new one is made
	Reseed   []string          // names of devices to pair as if for the first time
	Prune    bool              // remove what was seeded and is not wanted any more
	Live     bool              // a gateway serves this state directory meanwhile
	vacant   bool              // none may: a lease on the directory ends it
	// Clients, if set, are paired in place of those of the settings.
	Clients settings.Clients
	// Before is how it went the last time: what has not changed since is not reported.
	Before []seed.Result
}

// wantedOf are the clients that shall be paired.
func (w Wishes) wantedOf(s settings.Settings) settings.Clients {
	if w.Clients != nil {
		return w.Clients
	}
	return s.Clients
}

// untilDatabase is for a volume whose device the gateway makes itself.
const untilDatabase = "no identity yet: the gateway makes it with its database, and then it is paired"

// Pair makes sure that there is an identity, and that it and every client that
// was named are paired.
func (t *Target) Pair(ctx context.Context, w Wishes) (out Paired, err error) {
	if err := t.MayPair(); err != nil {
		return out, err
	}
	options := t.SessionOptions(w.Live)
	if w.vacant {
		options.Booting = nil
	}
	err = seed.InSession(ctx, options, func(session *seed.Session) (err error) {
		out, err = t.pairIn(ctx, session, w)
		return err
	})
	if err != nil && w.vacant {
		out, err = t.alreadyPaired(ctx, err)
	}
	if err == nil {
		t.report(out, w.Before)
	}
	return out, err
}

func (t *Target) pairIn(ctx context.Context, session *seed.Session, w Wishes) (out Paired, err error) {
	if w.vacant {
		lease, held, err := session.OwnerLease(ctx)
		if err == nil && held {
			err = t.judgeLease(lease)
		}
		if err != nil {
			return out, err
		}
	}
	for _, name := range w.Reseed { // a misspelt one makes no key
		named := func(c settings.Client) bool { return c.Name == name }
		if _, err := session.Seeded(name); err != nil && name != seed.SelfName && !slices.ContainsFunc(w.wantedOf(t.Settings), named) {
			return out, err
		}
	}
	self, created, err := session.Self(ctx, w.Imported, w.Known)
	if err != nil {
		return out, err
	}
	switch {
	case created:
		t.Log.Info().Str("device", ShortID(self.DeviceID())).Msg("identity created")
	case self.IsZero():
		t.Log.Info().Msg(untilDatabase)
	}
	clients, err := t.openClients(w.wantedOf(t.Settings))
	if err != nil {
		return out, err
	}
	known, err := session.Seeded(seed.SelfName)
	if err != nil && !errors.As(err, new(*seed.NameError)) {
		return out, err
	}
	out.Self, out.Devices = self, t.wantedDevices(self, known, clients)
	if clients, err = t.addReseeded(session, &out, clients, w.Reseed); err != nil {
		return out, err
	}
	if err := distinct(out.Devices); err != nil {
		return out, err
	}
	if out.Results, err = session.Pair(ctx, out.Devices...); err != nil {
		return out, err
	}
	for i := range out.Devices {
		out.Devices[i].Reseed = false // once is enough
	}
	out.Store = session.Store()
	if err := t.finishClients(clients, out.Results); err != nil {
		return out, err
	}
	if w.Prune {
		if out.Pruned, err = session.Prune(ctx, out.Devices...); err != nil {
			return out, err
		}
	}
	return out, t.tokenFor(session, &out)
}

// tokenFor makes a gateway token where the gateway could not listen without.
func (t *Target) tokenFor(session *seed.Session, out *Paired) (err error) {
	if !t.NeedsToken() {
		return nil
	}
	var created bool
	out.GatewayToken, created, err = session.GatewayToken()
	if created {
		t.Log.Info().Str("file", seed.GatewayTokenPath(t.StateDir)).
			Msg("gateway token created: none was set, and the gateway would refuse to listen")
	}
	return err
}

// alreadyPaired saves a start from a volume that cannot be written: where
// everything is paired already, only bookkeeping has failed.
func (t *Target) alreadyPaired(ctx context.Context, failed error) (Paired, error) {
	if !errors.As(failed, new(*seed.StoreError)) || t.NeedsToken() {
		return Paired{}, failed
	}
	credentials, err := seed.ReadCredentials(ctx, t.SeedOptions())
	if err != nil || credentials.Identity.IsZero() || credentials.Token == "" {
		return Paired{}, failed
	}
	clients, err := t.readClients()
	if err != nil || len(clients) != len(t.Settings.Clients) {
		return Paired{}, failed
	}
	out := Paired{Self: credentials.Identity, Devices: t.wantedDevices(credentials.Identity, nil, clients)}
	out.Results, out.Store, err = seed.Plan(ctx, t.SeedOptions(), out.Devices...)
	if err != nil || slices.ContainsFunc(out.Results, func(r seed.Result) bool { return r.Outcome != seed.Unchanged }) {
		return Paired{}, failed
	}
	for i := range out.Results {
		if out.Results[i].Name == seed.SelfName {
			out.Results[i].Token = credentials.Token
		}
	}
	t.Log.Warn().Err(failed).Str("hint", HintOf(failed)).Msg("the volume cannot be written, but everything is paired already; continuing")
	return out, nil
}

// addReseeded marks the devices of the given names. One that is not among the
// wanted ones comes from the ledger, with the scopes that it had.
func (t *Target) addReseeded(session *seed.Session, out *Paired, clients []client, names []string) ([]client, error) {
	for _, name := range names {
		i := slices.IndexFunc(out.Devices, func(d seed.Device) bool { return d.Name == name })
		if i >= 0 {
			out.Devices[i].Reseed = true
			continue
		}
		devices, err := session.Seeded(name)
		if err != nil {
			return nil, err
		}
		c := client{device: devices[len(devices)-1], remembered: true}
		bundle, err := seed.ReadBundle(t.BundlesDir(), name)
		if err != nil {
			return nil, err
		}
		if !bundle.Identity.IsZero() {
			c = c.withBundle(bundle)
		}
		c.device.Reseed = true
		clients, out.Devices = append(clients, c), append(out.Devices, c.device)
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
				hint: "a client has its own key, never the state directory's",
			}
		}
		names[device.ID()] = device.Name
	}
	return nil
}

// wantedDevices are our own device, unless it has no key yet, and the clients'. known are
// those that were seeded as our own.
func (t *Target) wantedDevices(self identity.Identity, known []seed.Device, clients []client) []seed.Device {
	var devices []seed.Device
	if !self.IsZero() {
		own := t.selfDevice(self)
		if scopes := t.narrowed(known); scopes != nil {
			own.Scopes = scopes
		}
		devices = append(devices, own)
	}
	for _, client := range clients {
		devices = append(devices, client.device)
	}
	return devices
}

// selfDevice is the state directory's own device.
func (t *Target) selfDevice(self identity.Identity) seed.Device {
	return seed.Device{Name: seed.SelfName, PublicKey: self.RawPublicKey(), Key: self, Scopes: t.SelfScopes(), Local: true}
}

// SelfScopes are those that it shall have.
func (t *Target) SelfScopes() []string {
	if len(t.Settings.Scopes) > 0 {
		return t.Settings.Scopes
	}
	scopes, _ := seed.Scopes(cmp.Or(string(t.Settings.Preset), "full"), t.Release) // checked when it was read
	return scopes
}

// narrowed are the scopes that our own device keeps: where the last one that was seeded
// was no administrator (run --preset read), only who says so makes it one. The start of a
// gateway says it, by its default too; seed, join, a bridge and other commands do not.
func (t *Target) narrowed(known []seed.Device) []string {
	says := t.Starts && t.Command.Understood || t.Settings.Preset != "" || len(t.Settings.Scopes) > 0
	if says || len(known) == 0 {
		return nil
	}
	last := known[len(known)-1].Scopes
	if len(last) == 0 || slices.Contains(last, "operator.admin") {
		return nil
	}
	return last
}

// report logs one line a device, but not for those that were like that before.
func (t *Target) report(out Paired, before []seed.Result) {
	known := make(map[string]seed.Result, len(before))
	for _, result := range before {
		known[result.DeviceID] = result
	}
	for _, result := range out.Results {
		if earlier, was := known[result.DeviceID]; was && sameState(earlier, result) {
			continue
		}
		event := t.Log.Info()
		message := "paired"
		reseed := func() string { return t.OwnCommand("seed", "--reseed", result.Name) }
		switch result.Outcome {
		case seed.Unchanged:
			message = "already paired, nothing changed"
		case seed.Updated:
			message = "pairing completed"
		case seed.Created:
			if out.Store.Kind == seed.Staged {
				message = "to be paired as soon as the gateway has made its database"
			}
			if result.Again {
				message = "paired again: the store it was in is gone, or it was reseeded"
			}
		case seed.Revoked:
			event = t.Log.Warn().Str("hint", "to pair it again: "+reseed())
			message = "not paired: somebody removed this device, and it stays removed"
		}
		if len(result.Wider) > 0 {
			event = t.Log.Warn().Str("hint", "to take the rest back: "+reseed())
			message += "; it has more scopes than asked for, and keeps them"
		}
		event = event.Str("name", result.Name).Str("device", ShortID(result.DeviceID)).Str("store", string(out.Store.Kind))
		if len(result.Scopes) > 0 {
			event = event.Str("scopes", Brief(result.Scopes))
		}
		if len(result.Wider) > 0 {
			event = event.Str("more_than_asked", Brief(result.Wider))
		}
		event.Msg(message)
		for _, id := range result.Retired {
			t.Log.Info().Str("name", result.Name).Str("device", ShortID(id)).
				Msg("an earlier key of this client was retired: its bundle was made anew")
		}
	}
	for _, result := range out.Pruned {
		t.Log.Info().Str("name", result.Name).Str("device", ShortID(result.DeviceID)).Msg("removed: it is not wanted any more")
	}
}

// sameState tells whether a device is where it was left.
func sameState(before, now seed.Result) bool {
	return before.DeviceID == now.DeviceID && !now.Written() && (now.Outcome == seed.Revoked) == (before.Outcome == seed.Revoked)
}

// Brief shortens scopes for a line that people read.
func Brief(scopes []string) string {
	return strings.ReplaceAll(strings.Join(scopes, ","), "operator.", "")
}

// ShortID is enough of a device id to tell devices apart.
func ShortID(deviceID string) string { return deviceID[:min(12, len(deviceID))] }

// Covers compares literally, as old gateways do.
func Covers(have, want []string) bool {
	return !slices.ContainsFunc(want, func(scope string) bool { return !slices.Contains(have, scope) })
}
