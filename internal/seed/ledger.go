package seed

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// ledger remembers which devices were seeded, into which store, and whether
// they were seen there later. It holds no secret. Without it a device that a
// person removed would come back at the next start.
type ledger struct {
	path    string
	changed bool
	data    ledgerData
	// named has the ids of each name: made by [ledger.byName], and dropped where a
	// device comes or goes.
	named map[string][]string
}

type ledgerData struct {
	Version int                     `json:"version"`
	Devices map[string]ledgerRecord `json:"devices"`
}

// ledgerRecord is about one device, by its device id.
type ledgerRecord struct {
	Name       string   `json:"name"`
	PublicKey  string   `json:"publicKey"`
	Scopes     []string `json:"scopes"`
	SeededAtMs int64    `json:"seededAtMs"`
	// Store and Mark tell into which store, and into which one of that kind.
	Store Kind   `json:"store"`
	Mark  string `json:"mark"`
	// Made: bootstrap made the key.
	Made bool `json:"made,omitempty"`
	// Retired: another key of that name has taken its place.
	Retired bool `json:"retired,omitempty"`
	// Confirmed: the device is certain to have been in this very store.
	Confirmed bool `json:"confirmed"`
	// RevokedAtMs: when it was first missed there after that, or removed by us.
	// It holds in every later store, and for other keys of that name, until the
	// device is found again or reseeded.
	RevokedAtMs int64 `json:"revokedAtMs,omitempty"`
	// RevokedByUs: by "seed revoke", so that being found again is no excuse.
	RevokedByUs bool `json:"revokedByUs,omitempty"`
}

// maxLedgerSize bounds what is read: some 300 bytes a device.
const maxLedgerSize = 64 << 20

func readLedger(stateDir string) (*ledger, error) {
	l := &ledger{path: filepath.Join(Dir(stateDir), "ledger.json")}
	data, err := atomicfile.Read(l.path, maxLedgerSize)
	if errors.Is(err, fs.ErrNotExist) {
		l.data = ledgerData{Version: 1, Devices: map[string]ledgerRecord{}}
		return l, nil
	}
	if err == nil {
		err = l.parse(data)
	}
	if err != nil {
		return nil, &StoreError{Path: l.path, Err: err,
			Fix: "to start anew, so that devices that were removed by hand are paired again: mv " + shell.Quote(l.path) + " " + shell.Quote(l.path+".broken")}
	}
	return l, nil
}

func (l *ledger) parse(data []byte) error {
	if !json.Valid(data) {
		return syntaxError(data)
	}
	if err := json.Unmarshal(data, &l.data); err != nil {
		return err
	}
	if l.data.Version != 1 {
		return fmt.Errorf("its version is %d, and this bootstrap knows 1", l.data.Version)
	}
	if l.data.Devices == nil {
		l.data.Devices = map[string]ledgerRecord{}
	}
	return nil
}

// knows tells whether a device was ever seeded here.
func (l *ledger) knows(deviceID string) bool {
	_, known := l.data.Devices[deviceID]
	return known
}

// revoked tells of a device that is not in the store whether somebody removed
// it: that was noted before, or it is certain to have been in this very store.
func (l *ledger) revoked(deviceID string, kind Kind, mark string) bool {
	record := l.data.Devices[deviceID]
	return record.RevokedAtMs != 0 ||
		(record.Confirmed && record.Store == kind && record.Mark == mark && mark != "")
}

// confirmedIn are the ids of the devices that are certain to have been in that store, and
// whether the directory's own device is one that nobody removed so far.
func (l *ledger) confirmedIn(kind Kind, mark string) (ids []string, own bool) {
	for id, record := range l.data.Devices {
		if record.Confirmed && record.Store == kind && record.Mark == mark {
			ids = append(ids, id)
			own = own || record.Name == SelfName && record.RevokedAtMs == 0
		}
	}
	return ids, own
}

// lingers tells of a device in the store that it was revoked by us, and is none that a
// person has approved since, by the gateway's own record.
func (l *ledger) lingers(deviceID string, e entry) bool {
	record := l.data.Devices[deviceID]
	return record.RevokedByUs && (e.approvedAtMs() <= record.RevokedAtMs || e.text("approvedVia") != "owner")
}

// allRevokedByUs are the ids of all such devices.
func (l *ledger) allRevokedByUs() (ids []string) {
	for id, record := range l.data.Devices {
		if record.RevokedByUs {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// nameRevoked tells whether any key of that name was revoked: a bundle that was
// lost and made anew must not bring it back.
func (l *ledger) nameRevoked(name string) bool {
	return slices.ContainsFunc(l.byName(name), func(id string) bool { return l.data.Devices[id].RevokedAtMs != 0 })
}

// seededInto tells whether the device was last seeded into a store of that kind.
func (l *ledger) seededInto(deviceID string, kind Kind) bool {
	return l.data.Devices[deviceID].Store == kind
}

// noteRevoked makes a removal hold in later stores too: after an upgrade the
// mark is another one.
func (l *ledger) noteRevoked(deviceID string) {
	l.change(deviceID, func(record *ledgerRecord) {
		if record.RevokedAtMs == 0 {
			record.RevokedAtMs = time.Now().UnixMilli()
		}
	})
}

// change edits a record that is there.
func (l *ledger) change(deviceID string, edit func(*ledgerRecord)) {
	before, known := l.data.Devices[deviceID]
	if !known {
		return
	}
	after := before
	edit(&after)
	if !reflect.DeepEqual(before, after) {
		l.data.Devices[deviceID] = after
		l.changed = true
	}
}

// record takes in what seeding did. certain says that the device is in the
// store beyond any gateway's late write.
func (l *ledger) record(device Device, outcome Outcome, kind Kind, mark string, certain bool) {
	id := device.ID()
	before, known := l.data.Devices[id]
	now := ledgerRecord{
		Name: device.Name, PublicKey: device.publicKey(), Scopes: device.Scopes, SeededAtMs: before.SeededAtMs,
		Store: kind, Mark: mark, Confirmed: certain, Made: device.Made,
	}
	if !known || outcome == Created {
		now.SeededAtMs = time.Now().UnixMilli()
	}
	if outcome == Unchanged && known && len(missing(before.Scopes, device.Scopes)) == 0 && len(Beyond(device.Scopes, before.Scopes)) == 0 {
		// "full" of an older release than the one that was seeded for: two commands
		// that see different packages do not rewrite the ledger in turns.
		now.Scopes = before.Scopes
	}
	if device.Reseed {
		// Reseeding clears earlier revocations of this name. A key
		// that was not revoked may still be let in, and has to be found by name.
		for _, other := range l.byName(device.Name) {
			if other != id && l.data.Devices[other].RevokedAtMs != 0 {
				l.remove(other)
			}
		}
	}
	if !reflect.DeepEqual(before, now) {
		l.data.Devices[id] = now
		l.changed = true
		if !known || before.Name != now.Name || before.SeededAtMs != now.SeededAtMs {
			l.named = nil
		}
	}
}

// byName returns the ids of the devices that were seeded under a name, the
// newest last.
func (l *ledger) byName(name string) []string {
	if l.named == nil {
		l.named = map[string][]string{}
		for id, record := range l.data.Devices {
			l.named[record.Name] = append(l.named[record.Name], id)
		}
		for _, ids := range l.named {
			slices.SortFunc(ids, func(a, b string) int {
				return cmp.Or(cmp.Compare(l.data.Devices[a].SeededAtMs, l.data.Devices[b].SeededAtMs), strings.Compare(a, b))
			})
		}
	}
	return slices.Clone(l.named[name])
}

// names lists the names that are known.
func (l *ledger) names() []string {
	l.byName("")
	return slices.Sorted(maps.Keys(l.named))
}

// remove forgets a device.
func (l *ledger) remove(deviceID string) {
	delete(l.data.Devices, deviceID)
	l.changed, l.named = true, nil
}

// write saves the ledger where something changed.
func (l *ledger) write() error {
	if !l.changed {
		return nil
	}
	data, err := json.MarshalIndent(l.data, "", "  ")
	if err == nil {
		err = atomicfile.Replace(l.path, append(data, '\n'))
	}
	if err != nil {
		return &StoreError{Path: l.path, Err: err}
	}
	l.changed = false
	return nil
}
