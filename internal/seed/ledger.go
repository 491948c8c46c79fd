package seed

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// ledger remembers which devices were seeded, into which store, and whether
// they were seen there later. It holds no secret. Without it a device that a
// person removed would come back at the next start.
type ledger struct {
	path    string
	changed bool
	data    ledgerData
}

type ledgerData struct {
	Version int                     `json:"version"`
	Devices map[string]ledgerRecord `json:"devices"`
}

// ledgerRecord is about one device, by its device id.
type ledgerRecord struct {
	Name       string   `json:"name"`
	Scopes     []string `json:"scopes"`
	SeededAtMs int64    `json:"seededAtMs"`
	// Store and Mark tell into which store, and into which one of that kind.
	Store Kind   `json:"store"`
	Mark  string `json:"mark"`
	// Confirmed: a later run found the device in this very store.
	Confirmed bool `json:"confirmed"`
	// RevokedAtMs: when it was first missed there after that, or removed by us.
	// It holds in every later store, until the device is found or reseeded.
	RevokedAtMs int64 `json:"revokedAtMs,omitempty"`
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
			Mend: "to start anew, so that devices that were removed by hand are paired again: mv " + l.path + " " + l.path + ".broken"}
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

// revoked tells of a device that is not in the store whether somebody removed
// it: that was noted before, or it had been seen in this very store.
func (l *ledger) revoked(deviceID string, kind Kind, mark string) bool {
	record := l.data.Devices[deviceID]
	return record.RevokedAtMs != 0 ||
		(record.Confirmed && record.Store == kind && record.Mark == mark && mark != "")
}

// seededInto tells whether the device was last seeded into a store of that kind.
func (l *ledger) seededInto(deviceID string, kind Kind) bool {
	return l.data.Devices[deviceID].Store == kind
}

// noteRevoked makes a removal hold in later stores too: after an upgrade the
// mark is another one.
func (l *ledger) noteRevoked(deviceID string) {
	record, known := l.data.Devices[deviceID]
	if !known || record.RevokedAtMs != 0 {
		return
	}
	record.RevokedAtMs = time.Now().UnixMilli()
	l.data.Devices[deviceID] = record
	l.changed = true
}

// record takes in what seeding did. A device that was there already when this
// run looked is confirmed.
func (l *ledger) record(device Device, deviceID string, outcome Outcome, kind Kind, mark string) {
	before, known := l.data.Devices[deviceID]
	now := ledgerRecord{
		Name: device.Name, Scopes: device.Scopes, SeededAtMs: before.SeededAtMs,
		Store: kind, Mark: mark, Confirmed: outcome != Created,
	}
	if !known || outcome == Created {
		now.SeededAtMs = time.Now().UnixMilli()
	}
	if known && now.Name == before.Name && now.Store == before.Store && now.Mark == before.Mark &&
		now.Confirmed == before.Confirmed && before.RevokedAtMs == 0 && slices.Equal(now.Scopes, before.Scopes) {
		return
	}
	l.data.Devices[deviceID] = now
	l.changed = true
}

// confirm notes that a device was seen in this very store.
func (l *ledger) confirm(deviceID string, kind Kind, mark string) {
	record, known := l.data.Devices[deviceID]
	if !known {
		return
	}
	record.Store, record.Mark, record.Confirmed = kind, mark, true
	l.data.Devices[deviceID] = record
	l.changed = true
}

// byName returns the ids of the devices that were seeded under a name.
func (l *ledger) byName(name string) []string {
	var ids []string
	for id, record := range l.data.Devices {
		if record.Name == name {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// names lists the names that are known.
func (l *ledger) names() []string {
	var names []string
	for _, record := range l.data.Devices {
		names = append(names, record.Name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// remove forgets a device.
func (l *ledger) remove(deviceID string) {
	delete(l.data.Devices, deviceID)
	l.changed = true
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
