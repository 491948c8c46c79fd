package seed

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reflectt/bootstrap/internal/statedb"
)

// Survey is what is in a state directory: every operator device of the store that
// counts, what the ledger knows of each, and what it misses.
type Survey struct {
	Store   Info
	Devices []Seen
	// LocalTokenStale: the directory's own device is paired, and the CLI here would
	// show no token for it, or another one than the store's.
	LocalTokenStale bool
}

// Seen is one device of a survey.
type Seen struct {
	DeviceID string
	// Name is the ledger's; empty for a device that somebody else paired.
	Name   string
	Label  string // the display name in the store
	Roles  []string
	Scopes []string
	// Present: it is in the store, with a token that works.
	Present, TokenRevoked bool
	// Revoked: it was seeded, and somebody removed it; where it is present, "seed revoke"
	// could not, and the next run does.
	Revoked bool
	// NameRevoked: so it is for every key of that name; another one made for it
	// stays out too.
	NameRevoked bool
}

// Take makes a survey. It takes no lock and writes nothing, but see [statedb.Open].
func Take(ctx context.Context, options Options) (Survey, error) {
	l, err := readLedger(options.StateDir)
	if err != nil {
		return Survey{}, err
	}
	return fromStore(ctx, options, func(from store) (Survey, error) { return survey(ctx, from, l) })
}

func survey(ctx context.Context, from store, l *ledger) (Survey, error) {
	out := Survey{Store: infoOf(from)}
	mark, err := markFor(ctx, from, l)
	if err != nil {
		return out, err
	}
	entries, err := from.list(ctx)
	if err != nil {
		return out, err
	}
	out.LocalTokenStale = localTokenStale(ctx, from, entries)
	for id, e := range entries {
		record := l.data.Devices[id]
		seen := Seen{
			DeviceID: id, Name: record.Name, Label: e.text("displayName"), Scopes: e.scopes(),
			Present: true, TokenRevoked: e.tokenRevoked(), Revoked: l.lingers(id, e), NameRevoked: record.RevokedAtMs != 0,
		}
		seen.Roles, _ = decode[[]string](e.get("roles"))
		out.Devices = append(out.Devices, seen)
	}
	for id, record := range l.data.Devices {
		if _, here := entries[id]; here {
			continue
		}
		gone, err := removed(ctx, from, l, id, mark)
		if err != nil {
			return out, err
		}
		out.Devices = append(out.Devices, Seen{DeviceID: id, Name: record.Name, Revoked: gone || record.RevokedAtMs != 0, NameRevoked: record.RevokedAtMs != 0})
	}
	slices.SortFunc(out.Devices, func(a, b Seen) int {
		return cmp.Or(compareNames(a.Name, b.Name), strings.Compare(a.DeviceID, b.DeviceID))
	})
	return out, nil
}

// WasRemoved tells of a device that is not paired whether it was seeded, and somebody
// removed it. Of one that the ledger does not know, it does not look into the store.
func WasRemoved(ctx context.Context, options Options, deviceID string) (bool, error) {
	l, err := readLedger(options.StateDir)
	if err != nil || !l.knows(deviceID) {
		return false, err
	}
	found, err := Take(ctx, options)
	return slices.ContainsFunc(found.Devices, func(d Seen) bool { return d.DeviceID == deviceID && d.Revoked }), err
}

// localTokenStale is false where it cannot be told: whoever reads the
// credentials for their own sake hears why.
func localTokenStale(ctx context.Context, from store, entries map[string]entry) bool {
	credentials, err := credentialsOf(ctx, from)
	if err != nil || credentials.Identity.IsZero() {
		return false
	}
	e, paired := entries[credentials.Identity.DeviceID()]
	return paired && !e.tokenRevoked() && e.token() != credentials.Token
}

// compareNames sorts our own device first and what is not ours last.
func compareNames(a, b string) int {
	rank := func(name string) int {
		switch name {
		case SelfName:
			return 0
		case "":
			return 2
		}
		return 1
	}
	return cmp.Or(rank(a)-rank(b), strings.Compare(a, b))
}

// Stamp changes whenever a pairing store below a state directory is written. It
// opens nothing, so it may be asked often.
func Stamp(stateDir string) (stamp string) {
	database := statedb.Path(stateDir)
	for _, path := range []string{filepath.Join(stateDir, "devices", "paired.json"), database, database + "-wal"} {
		if info, err := os.Stat(path); err == nil {
			stamp += fmt.Sprint(info.Size(), info.ModTime().UnixNano(), " ")
		}
	}
	return stamp
}
