package pairing

import (
	"cmp"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// client is a further device; its bundle is empty where it keeps its own key.
type client struct {
	device seed.Device
	bundle seed.Bundle
	// remembered: the ledger knows it, and the settings do not.
	remembered bool
}

// withBundle is the client with the key from its bundle.
func (c client) withBundle(bundle seed.Bundle) client {
	c.bundle, c.device.Key = bundle, bundle.Identity
	c.device.PublicKey, c.device.Made = bundle.Identity.RawPublicKey(), true
	return c
}

// openClients finds the clients that are wanted, and makes the bundles that are
// missing.
func (t *Target) openClients(wanted settings.Clients) ([]client, error) {
	var names []string
	for _, one := range wanted {
		if one.PublicKey == "" {
			names = append(names, one.Name)
		}
	}
	bundles, err := seed.OpenBundles(t.BundlesDir(), names)
	if err != nil {
		return nil, err
	}
	return t.eachClient(wanted, func(name string) (seed.Bundle, error) { return bundles[name], nil })
}

// readClients finds them and makes nothing: a client that has no key yet is
// left out.
func (t *Target) readClients() ([]client, error) {
	return t.eachClient(t.Settings.Clients, seed.ReadBundles(t.BundlesDir()))
}

// BundlesDir is where the clients' bundles are.
func (t *Target) BundlesDir() string {
	return cmp.Or(t.Settings.BundleDir, seed.BundlesDir(t.StateDir))
}

func (t *Target) eachClient(all settings.Clients, bundleOf func(name string) (seed.Bundle, error)) ([]client, error) {
	var clients []client
	for _, wanted := range all {
		c := client{device: seed.Device{Name: wanted.Name, Scopes: wanted.WantedScopes(t.Release)}}
		var err error
		if wanted.PublicKey != "" {
			c.device.PublicKey, err = identity.ParsePublicKey(wanted.PublicKey)
		} else if c.bundle, err = bundleOf(wanted.Name); err == nil && !c.bundle.Identity.IsZero() {
			c = c.withBundle(c.bundle)
		}
		if err != nil {
			return nil, err
		}
		if c.device.PublicKey != nil {
			clients = append(clients, c)
		}
	}
	return clients, nil
}

// finishClients completes the bundles of the clients that were paired.
func (t *Target) finishClients(clients []client, results []seed.Result) error {
	ofDevice := make(map[string]seed.Result, len(results))
	for _, result := range results {
		ofDevice[result.DeviceID] = result
	}
	var all []seed.Finishing
	for _, c := range clients {
		result := ofDevice[c.device.ID()]
		if c.bundle.Dir == "" || result.Outcome == seed.Revoked {
			continue
		}
		finishing, err := t.finishingOfClient(c, result)
		if err != nil {
			return err
		}
		all = append(all, finishing)
	}
	return seed.Finish(all)
}

func (t *Target) finishingOfClient(c client, result seed.Result) (seed.Finishing, error) {
	if c.remembered {
		return t.renewingOf(c.bundle, result)
	}
	return t.finishingOf(c.bundle, result, t.BundleURL())
}

// FinishBundle writes what a paired client needs; url is the gateway's address in it.
func (t *Target) FinishBundle(bundle seed.Bundle, result seed.Result, url string) error {
	finishing, err := t.finishingOf(bundle, result, url)
	if err != nil {
		return err
	}
	return seed.Finish([]seed.Finishing{finishing})
}

// RenewBundle gives a client whose token was rotated the other one.
func (t *Target) RenewBundle(bundle seed.Bundle, result seed.Result) error {
	finishing, err := t.renewingOf(bundle, result)
	if err != nil {
		return err
	}
	return seed.Finish([]seed.Finishing{finishing})
}

// renewingOf leaves where a bundle's variables lead as it is, unless the settings say where.
func (t *Target) renewingOf(bundle seed.Bundle, result seed.Result) (seed.Finishing, error) {
	if t.Settings.ClientURL != "" || t.Settings.BridgeURL != "" {
		return t.finishingOf(bundle, result, t.BundleURL())
	}
	return bundle.Renewing(result, t.BundleURL())
}

func (t *Target) finishingOf(bundle seed.Bundle, result seed.Result, url string) (seed.Finishing, error) {
	if t.Settings.BridgeTokens {
		if err := bridge.MakeToken(bundle); err != nil {
			return seed.Finishing{}, err
		}
	}
	if t.Settings.BridgeURL == "" {
		return bundle.Finishing(result, url)
	}
	token, err := bridge.Token(bundle)
	if err != nil {
		return seed.Finishing{}, &seed.StoreError{Path: bundle.Dir, Err: err, Fix: "a new one is made with --bridge-tokens where there is none"}
	}
	return bundle.FinishingBridged(result, string(t.Settings.BridgeURL), token)
}

// BundleURL is the gateway's address for clients, which is seldom the local one.
func (t *Target) BundleURL() string { return cmp.Or(string(t.Settings.ClientURL), t.URL) }
