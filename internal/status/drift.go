package status

import (
	"slices"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Drift is how a device in the store differs from what is wanted.
type Drift string

const (
	InStep    Drift = "none"
	Missing   Drift = "missing"
	Narrower  Drift = "narrower"
	Wider     Drift = "wider"
	OtherKey  Drift = "other key" // seeded under this name before, with another key
	Revoked   Drift = "revoked"
	Lingering Drift = "revoked, still paired" // by us, but the store could not be written
	NotWanted Drift = "not wanted"            // seeded by us, and not among the wanted ones
	Unmanaged Drift = "unmanaged"             // paired by somebody else
)

// compare says of every device, wanted or there, how it differs. keyless are the
// names that are wanted and have no key yet.
func compare(wanted []seed.Device, keyless []string, survey seed.Survey) []Device {
	seen, revokedNames := map[string]seed.Seen{}, map[string]bool{}
	for _, device := range survey.Devices {
		seen[device.DeviceID] = device
		revokedNames[device.Name] = revokedNames[device.Name] || device.NameRevoked
	}
	var out []Device
	names, ids := map[string]bool{}, map[string]bool{}
	for _, device := range wanted {
		names[device.Name], ids[device.ID()] = true, true
		there := seen[device.ID()]
		out = append(out, Device{
			Name: device.Name, DeviceID: device.ID(), Drift: driftOf(device, there, revokedNames[device.Name]),
			Label: there.Label, Roles: there.Roles, Scopes: there.Scopes, Wanted: device.Scopes,
		})
	}
	for _, name := range keyless {
		names[name] = true
		out = append(out, Device{Name: name, Drift: driftOf(seed.Device{}, seed.Seen{}, revokedNames[name])})
	}
	for _, there := range survey.Devices {
		switch {
		case ids[there.DeviceID], !there.Present && !there.Revoked:
			continue
		case names[there.Name] && !there.Present:
			continue // an older key, and gone; whether that holds for its name is said there
		}
		d := Device{Name: there.Name, DeviceID: there.DeviceID, Label: there.Label, Roles: there.Roles, Scopes: there.Scopes}
		switch {
		case there.Revoked:
			d.Drift = revokedAs(there)
		case there.Name == "":
			d.Drift = Unmanaged
		case names[there.Name]:
			d.Drift = OtherKey
		default:
			d.Drift = NotWanted
		}
		out = append(out, d)
	}
	return out
}

func driftOf(wanted seed.Device, there seed.Seen, nameRevoked bool) Drift {
	switch {
	case there.Revoked:
		return revokedAs(there)
	case there.TokenRevoked, !there.Present && nameRevoked:
		return Revoked
	case !there.Present:
		return Missing
	case !pairing.Covers(there.Scopes, wanted.Scopes):
		return Narrower
	case len(seed.Beyond(wanted.Scopes, there.Scopes)) > 0:
		return Wider
	}
	return InStep
}

func revokedAs(there seed.Seen) Drift {
	if there.Present {
		return Lingering
	}
	return Revoked
}

// DriftFindings says what fixes each drift that is not harmless.
func DriftFindings(t *pairing.Target, devices []Device) []Finding {
	if nobodyIn(devices) {
		return []Finding{{What: "nobody is paired yet", Fix: t.OwnCommand("seed") + ", or: " + t.OwnCommand("run") + " -- " + pairing.ExampleGateway}}
	}
	var out []Finding
	for _, d := range devices {
		who := "device " + d.Name
		if d.Name != seed.SelfName {
			who = "client " + d.Name
		}
		if d.DeviceID != "" {
			who += " (" + pairing.ShortID(d.DeviceID) + ")"
		}
		reseed := func() string { return t.OwnCommand("seed", "--reseed", d.Name) }
		switch d.Drift {
		case Missing:
			out = append(out, Finding{What: who + missingBecause(d), Fix: t.OwnCommand("seed")})
		case Narrower:
			out = append(out, Finding{What: who + " has fewer scopes than wanted: " + pairing.Brief(d.Scopes), Fix: t.OwnCommand("seed")})
		case Wider:
			out = append(out, Finding{What: who + " has more scopes than wanted: " + pairing.Brief(d.Scopes), Fix: "to take the rest back: " + reseed()})
		case OtherKey:
			out = append(out, Finding{What: who + " is an older key of that name, and still paired", Fix: removeOlder(t, d)})
		case Revoked:
			out = append(out, Finding{What: who + " was removed by somebody, and stays removed", Fix: "to pair it again: " + reseed()})
		case Lingering:
			out = append(out, Finding{What: who + " was revoked, and is still in the store", Fix: t.OwnCommand("seed")})
		case NotWanted:
			fix := "name it with --client, or: " + t.OwnCommand("seed", "--prune") + ", or: " + t.OwnCommand("seed revoke", d.Name)
			if len(t.Settings.Clients) == 0 { // the settings of the gateway's start may not be here
				fix = "look from where the gateway's own settings are (BOOTSTRAP_CLIENTS, BOOTSTRAP_MANIFEST): it may be named there; if not: " + t.OwnCommand("seed revoke", d.Name)
			}
			out = append(out, Finding{What: who + " was seeded earlier and is not named now", Fix: fix})
		case InStep, Unmanaged:
		}
	}
	return out
}

// nobodyIn tells a directory in which nothing was paired and nothing removed.
func nobodyIn(devices []Device) bool {
	return !slices.ContainsFunc(devices, func(d Device) bool { return d.Drift != Missing })
}

func missingBecause(d Device) string {
	if d.DeviceID == "" {
		return " is not there: it has no key yet"
	}
	return " is not paired"
}

// removeOlder is how a key goes whose name has another one now.
func removeOlder(t *pairing.Target, d Device) string {
	if d.Name == seed.SelfName { // which is never pruned
		return "openclaw devices remove " + shell.Quote(protocol.Clean(d.DeviceID))
	}
	return t.OwnCommand("seed", "--prune") + "   (with every client that shall stay)"
}

// localTokenFinding is about our own device, whose token is in two places.
func localTokenFinding(t *pairing.Target, survey seed.Survey) []Finding {
	if !survey.LocalTokenStale {
		return nil
	}
	return []Finding{{
		What: "the CLI beside the gateway has no device token, or not the one in the store: it will be refused, or ask for the gateway's token",
		Fix:  t.OwnCommand("seed"),
	}}
}
