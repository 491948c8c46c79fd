package cli

import (
	"slices"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

// drift is how a device in the store differs from what is wanted.
type drift string

const (
	inStep    drift = "none"
	isMissing drift = "missing"
	narrower  drift = "narrower"
	wider     drift = "wider"
	otherKey  drift = "other key" // seeded under this name before, with another key
	isRevoked drift = "revoked"
	notWanted drift = "not wanted" // seeded by us, and not among the wanted ones
	unmanaged drift = "unmanaged"  // paired by somebody else
)

// compare says of every device, wanted or there, how it differs. keyless are the
// names that are wanted and have no key yet.
func compare(wanted []seed.Device, keyless []string, survey seed.Survey) []statusDevice {
	seen, revokedNames := map[string]seed.Seen{}, map[string]bool{}
	for _, device := range survey.Devices {
		seen[device.DeviceID] = device
		revokedNames[device.Name] = revokedNames[device.Name] || device.NameRevoked
	}
	var out []statusDevice
	names, ids := map[string]bool{}, map[string]bool{}
	for _, device := range wanted {
		names[device.Name], ids[device.ID()] = true, true
		there := seen[device.ID()]
		out = append(out, statusDevice{
			Name: device.Name, DeviceID: device.ID(), Drift: driftOf(device, there, revokedNames[device.Name]),
			Label: there.Label, Roles: there.Roles, Scopes: there.Scopes, Wanted: device.Scopes,
		})
	}
	for _, name := range keyless {
		names[name] = true
		out = append(out, statusDevice{Name: name, Drift: driftOf(seed.Device{}, seed.Seen{}, revokedNames[name])})
	}
	for _, there := range survey.Devices {
		switch {
		case ids[there.DeviceID], !there.Present && !there.Revoked:
			continue
		case names[there.Name] && !there.Present:
			continue // an older key, and gone; whether that holds for its name is said there
		}
		d := statusDevice{Name: there.Name, DeviceID: there.DeviceID, Label: there.Label, Roles: there.Roles, Scopes: there.Scopes}
		switch {
		case there.Revoked:
			d.Drift = isRevoked
		case there.Name == "":
			d.Drift = unmanaged
		case names[there.Name]:
			d.Drift = otherKey
		default:
			d.Drift = notWanted
		}
		out = append(out, d)
	}
	return out
}

func driftOf(wanted seed.Device, there seed.Seen, nameRevoked bool) drift {
	switch {
	case there.Revoked, there.TokenRevoked, !there.Present && nameRevoked:
		return isRevoked
	case !there.Present:
		return isMissing
	case !pairing.Covers(there.Scopes, wanted.Scopes):
		return narrower
	case len(seed.Beyond(wanted.Scopes, there.Scopes)) > 0:
		return wider
	}
	return inStep
}

// driftFindings says what fixes each drift that is not harmless.
func (a *app) driftFindings(devices []statusDevice) []finding {
	if nobodyIn(devices) {
		return []finding{{What: "nobody is paired yet", Mend: a.command("seed") + ", or: " + a.command("run") + " -- " + exampleGateway}}
	}
	var out []finding
	for _, d := range devices {
		who := "device " + d.Name
		if d.Name != seed.SelfName {
			who = "client " + d.Name
		}
		if d.DeviceID != "" {
			who += " (" + pairing.ShortID(d.DeviceID) + ")"
		}
		reseed := func() string { return a.command("seed", "--reseed", d.Name) }
		switch d.Drift {
		case isMissing:
			out = append(out, finding{What: who + missingBecause(d), Mend: a.command("seed")})
		case narrower:
			out = append(out, finding{What: who + " has fewer scopes than wanted: " + pairing.Brief(d.Scopes), Mend: a.command("seed")})
		case wider:
			out = append(out, finding{What: who + " has more scopes than wanted: " + pairing.Brief(d.Scopes), Mend: "to take the rest back: " + reseed()})
		case otherKey:
			out = append(out, finding{What: who + " is an older key of that name, and still paired", Mend: a.removeOlder(d)})
		case isRevoked:
			out = append(out, finding{What: who + " was removed by somebody, and stays removed", Mend: "to pair it again: " + reseed()})
		case notWanted:
			out = append(out, finding{
				What: who + " was seeded earlier and is not named now",
				Mend: "name it with --client, or: " + a.command("seed", "--prune") + ", or: " + a.command("seed revoke", d.Name),
			})
		case inStep, unmanaged:
		}
	}
	return out
}

// nobodyIn tells a directory in which nothing was paired and nothing removed.
func nobodyIn(devices []statusDevice) bool {
	return !slices.ContainsFunc(devices, func(d statusDevice) bool { return d.Drift != isMissing })
}

func missingBecause(d statusDevice) string {
	if d.DeviceID == "" {
		return " is not there: it has no key yet"
	}
	return " is not paired"
}

// removeOlder is how a key goes whose name has another one now.
func (a *app) removeOlder(d statusDevice) string {
	if d.Name == seed.SelfName { // which is never pruned
		return "openclaw devices remove " + shell.Quote(protocol.Clean(d.DeviceID))
	}
	return a.command("seed", "--prune") + "   (with every client that shall stay)"
}

// localTokenFinding is about the one device whose token lies in two places.
func (a *app) localTokenFinding(survey seed.Survey) []finding {
	if !survey.LocalTokenStale {
		return nil
	}
	return []finding{{
		What: "the CLI beside the gateway has no device token, or not the one in the store: it will be refused, or ask for the gateway's token",
		Mend: a.command("seed"),
	}}
}
