package cli

import (
	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// client is a further device; its bundle is empty where it keeps its own key.
type client struct {
	device seed.Device
	bundle seed.Bundle
	// bridgeToken: the bundle gets a bridge token of its own.
	bridgeToken bool
}

// openClients finds the clients that are wanted, and makes the bundles that are
// missing.
func openClients(s settings.Settings, p place) ([]client, error) {
	return eachClient(s, func(name string) (seed.Bundle, error) { return seed.OpenBundle(bundlesDir(s, p), name) })
}

// readClients finds them and makes nothing: a client that has no key yet is
// left out.
func readClients(s settings.Settings, p place) ([]client, error) {
	return eachClient(s, func(name string) (seed.Bundle, error) { return seed.ReadBundle(bundlesDir(s, p), name) })
}

func bundlesDir(s settings.Settings, p place) string {
	if s.BundleDir != "" {
		return s.BundleDir
	}
	return seed.BundlesDir(p.StateDir)
}

func eachClient(s settings.Settings, bundleOf func(name string) (seed.Bundle, error)) ([]client, error) {
	var clients []client
	for _, wanted := range s.Clients {
		c := client{device: seed.Device{Name: wanted.Name, Scopes: wanted.WantedScopes()}, bridgeToken: s.BridgeTokens}
		var err error
		if wanted.PublicKey != "" {
			c.device.PublicKey, err = identity.ParsePublicKey(wanted.PublicKey)
		} else if c.bundle, err = bundleOf(wanted.Name); err == nil && !c.bundle.Identity.IsZero() {
			c.device.PublicKey = c.bundle.Identity.RawPublicKey()
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

// finish completes the bundle of a client that was paired.
func (c client) finish(result seed.Result, url string) error {
	if c.bundle.Dir == "" || result.Outcome == seed.Revoked {
		return nil
	}
	return finishBundle(c.bundle, result, url, c.bridgeToken)
}

// finishBundle writes what a client that was paired needs.
func finishBundle(bundle seed.Bundle, result seed.Result, url string, bridgeToken bool) error {
	if err := bundle.Finish(result, url); err != nil || !bridgeToken {
		return err
	}
	return bridge.MakeToken(bundle)
}

// bundleURL is where a client is told to find the gateway: seldom where the
// gateway finds itself.
func bundleURL(s settings.Settings, p place) string {
	if s.ClientURL != "" {
		return string(s.ClientURL)
	}
	return p.URL
}
