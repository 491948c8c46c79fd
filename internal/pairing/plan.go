package pairing

import (
	"context"
	"errors"
	"slices"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// Wanted are the devices that shall be paired and have a key: the state directory's
// own, unless self is zero, and the clients of the settings. It makes nothing.
func (t *Target) Wanted(self identity.Identity) ([]seed.Device, error) {
	clients, err := t.readClients()
	known, _, forgotten := seed.Remembered(t.SeedOptions(), seed.SelfName)
	if forgotten != nil && !errors.As(forgotten, new(*seed.NameError)) {
		err = errors.Join(err, forgotten)
	}
	return t.wantedDevices(self, known, clients), err
}

// Keyless are the names that shall be paired, our own device's too, and have no key
// here yet.
func (t *Target) Keyless(wanted []seed.Device) []string {
	hasKey := map[string]bool{}
	for _, device := range wanted {
		hasKey[device.Name] = true
	}
	all := []string{seed.SelfName}
	for _, client := range t.Settings.Clients {
		all = append(all, client.Name)
	}
	return slices.DeleteFunc(all, func(name string) bool { return hasKey[name] })
}

// Plan says what [Target.Pair] would do, and writes nothing. A device that has no key
// yet cannot be in the store, so it would be created, unless its name was revoked.
func (t *Target) Plan(ctx context.Context, w Wishes) (out Paired, err error) {
	if err := t.MayPair(); err != nil {
		return out, err
	}
	if out.Self, err = seed.PlanSelf(ctx, t.SeedOptions(), w.Imported); err != nil {
		return out, err
	}
	if out.Devices, err = t.Wanted(out.Self); err != nil {
		return out, err
	}
	keyless := t.Keyless(out.Devices)
	for _, name := range w.Reseed {
		if err := t.planReseed(&out, keyless, name); err != nil {
			return out, err
		}
	}
	if out.Results, out.Store, err = seed.Plan(ctx, t.SeedOptions(), out.Devices...); err != nil {
		return out, err
	}
	for _, name := range keyless {
		result := seed.Result{Name: name, Outcome: seed.Created}
		if _, revoked, _ := seed.Remembered(t.SeedOptions(), name); revoked && !slices.Contains(w.Reseed, name) {
			result.Outcome = seed.Revoked
		}
		out.Results = append(out.Results, result)
	}
	if w.Prune {
		out.Pruned, err = seed.PlanPrune(t.SeedOptions(), out.Devices...)
	}
	return out, err
}

// planReseed is [Target.addReseeded] without a session.
func (t *Target) planReseed(out *Paired, keyless []string, name string) error {
	i := slices.IndexFunc(out.Devices, func(d seed.Device) bool { return d.Name == name })
	switch {
	case i >= 0:
	case slices.Contains(keyless, name):
		return nil
	default:
		devices, _, err := seed.Remembered(t.SeedOptions(), name)
		if err != nil {
			return err
		}
		i, out.Devices = len(out.Devices), append(out.Devices, devices[len(devices)-1])
	}
	out.Devices[i].Reseed = true
	return nil
}
