package cli

import (
	"fmt"
	"strings"

	"github.com/reflectt/bootstrap/internal/seed"
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

// compare says of every device, wanted or there, how it differs.
func compare(wanted []seed.Device, survey seed.Survey) []statusDevice {
	seen := map[string]seed.Seen{}
	for _, device := range survey.Devices {
		seen[device.DeviceID] = device
	}
	var out []statusDevice
	names, ids := map[string]bool{}, map[string]bool{}
	for _, device := range wanted {
		names[device.Name], ids[device.ID()] = true, true
		there := seen[device.ID()]
		out = append(out, statusDevice{
			Name: device.Name, DeviceID: device.ID(), Drift: driftOf(device, there),
			Label: there.Label, Roles: there.Roles, Scopes: there.Scopes, Wanted: device.Scopes,
		})
	}
	for _, there := range survey.Devices {
		if ids[there.DeviceID] || (!there.Present && !there.Revoked) {
			continue
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

func driftOf(wanted seed.Device, there seed.Seen) drift {
	switch {
	case there.Revoked, there.TokenRevoked:
		return isRevoked
	case !there.Present:
		return isMissing
	case !covers(there.Scopes, wanted.Scopes):
		return narrower
	case !covers(wanted.Scopes, there.Scopes):
		return wider
	}
	return inStep
}

// covers compares literally, as old gateways do.
func covers(have, want []string) bool {
	for _, scope := range want {
		if !contains(have, scope) {
			return false
		}
	}
	return true
}

// driftFindings says what mends each drift that is not harmless.
func driftFindings(devices []statusDevice) []finding {
	var out []finding
	for _, d := range devices {
		reseed := "bootstrap seed --reseed " + d.Name
		if d.Name != seed.SelfName {
			reseed = "bootstrap seed --client " + d.Name + " --reseed " + d.Name
		}
		who := fmt.Sprintf("device %s (%s)", d.Name, shortID(d.DeviceID))
		switch d.Drift {
		case isMissing:
			out = append(out, finding{What: who + " is not paired", Mend: "bootstrap seed, with the same flags"})
		case narrower:
			out = append(out, finding{What: who + " has fewer scopes than wanted: " + brief(d.Scopes), Mend: "bootstrap seed, with the same flags"})
		case wider:
			out = append(out, finding{What: who + " has more scopes than wanted: " + brief(d.Scopes), Mend: "to take the rest back: " + reseed})
		case otherKey:
			out = append(out, finding{What: who + " is an older key of that name, and still paired", Mend: "bootstrap seed --prune, with the same flags"})
		case isRevoked:
			out = append(out, finding{What: who + " was removed by somebody, and stays removed", Mend: "to pair it again: " + strings.TrimSpace(reseed)})
		case notWanted:
			out = append(out, finding{What: who + " was seeded earlier and is not named now", Mend: "name it with --client, or: bootstrap seed --prune, or: bootstrap seed revoke " + d.Name})
		case inStep, unmanaged:
		}
	}
	return out
}

// localTokenFinding is about the one device whose token lies in two places.
func localTokenFinding(survey seed.Survey) []finding {
	if !survey.LocalTokenStale {
		return nil
	}
	return []finding{{
		What: "the CLI beside the gateway has no device token, or not the one in the store: it will be refused, or ask for the gateway's token",
		Mend: "bootstrap seed",
	}}
}
