package cli

import (
	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// client is a further device; its bundle is empty where it keeps its own key.
type client struct {
	device   seed.Device
	bundle   seed.Bundle
	settings settings.Settings
}

// withBundle is the client with the key that lies in its bundle.
func (c client) withBundle(bundle seed.Bundle) client {
	c.bundle, c.device.Key = bundle, bundle.Identity
	c.device.PublicKey, c.device.Made = bundle.Identity.RawPublicKey(), true
	return c
}

// openClients finds the clients that are wanted, and makes the bundles that are
// missing.
func openClients(s settings.Settings, p place) ([]client, error) {
	var names []string
	for _, wanted := range s.Clients {
		if wanted.PublicKey == "" {
			names = append(names, wanted.Name)
		}
	}
	opened, err := seed.OpenBundles(bundlesDir(s, p), names)
	if err != nil {
		return nil, err
	}
	bundles := make(map[string]seed.Bundle, len(names))
	for i, name := range names {
		bundles[name] = opened[i]
	}
	return eachClient(s, p, func(name string) (seed.Bundle, error) { return bundles[name], nil })
}

// readClients finds them and makes nothing: a client that has no key yet is
// left out.
func readClients(s settings.Settings, p place) ([]client, error) {
	return eachClient(s, p, func(name string) (seed.Bundle, error) { return seed.ReadBundle(bundlesDir(s, p), name) })
}

func bundlesDir(s settings.Settings, p place) string {
	if s.BundleDir != "" {
		return s.BundleDir
	}
	return seed.BundlesDir(p.StateDir)
}

func eachClient(s settings.Settings, p place, bundleOf func(name string) (seed.Bundle, error)) ([]client, error) {
	var clients []client
	for _, wanted := range s.Clients {
		c := client{device: seed.Device{Name: wanted.Name, Scopes: wanted.WantedScopes(p.Release)}, settings: s}
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
func finishClients(clients []client, results []seed.Result, url string) error {
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
		finishing, err := finishingOf(c.settings, c.bundle, result, url)
		if err != nil {
			return err
		}
		all = append(all, finishing)
	}
	return seed.Finish(all)
}

// finishBundle writes what a client that was paired needs.
func finishBundle(s settings.Settings, bundle seed.Bundle, result seed.Result, url string) error {
	finishing, err := finishingOf(s, bundle, result, url)
	if err != nil {
		return err
	}
	return seed.Finish([]seed.Finishing{finishing})
}

func finishingOf(s settings.Settings, bundle seed.Bundle, result seed.Result, url string) (seed.Finishing, error) {
	if s.BridgeTokens {
		if err := bridge.MakeToken(bundle); err != nil {
			return seed.Finishing{}, err
		}
	}
	if s.BridgeURL == "" {
		return bundle.Finishing(result, url)
	}
	token, err := bridge.Token(bundle)
	if err != nil {
		return seed.Finishing{}, &seed.StoreError{Path: bundle.Dir, Err: err, Mend: "a new one is made with --bridge-tokens where there is none"}
	}
	return bundle.FinishingBridged(result, string(s.BridgeURL), token)
}

// bundleURL is where a client is told to find the gateway: seldom where the
// gateway finds itself.
func bundleURL(s settings.Settings, p place) string {
	if s.ClientURL != "" {
		return string(s.ClientURL)
	}
	return p.URL
}
