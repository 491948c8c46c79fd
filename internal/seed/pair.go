package seed

import (
	"context"
	"errors"
	"time"
)

// ErrMoved says that a gateway's first boot has made its database while the
// files were written. The session has opened the database; the caller begins
// again, for the folder's own device may be another one now.
var ErrMoved = errors.New("a gateway has moved the pairing store into its database meanwhile")

// Pair makes sure that each device is in the store, and in the ledger. Devices
// that were removed by somebody stay removed.
func (s *Session) Pair(ctx context.Context, devices ...Device) ([]Result, error) {
	found, err := plan(ctx, s.store, s.ledger, devices)
	if err != nil {
		return nil, err
	}
	if err := s.write(ctx, devices, found); err != nil {
		return nil, err
	}
	if err := s.settle(ctx, devices, found); err != nil {
		return nil, err
	}
	if err := s.ledger.write(); err != nil {
		return nil, err
	}
	return found.results, s.follow(ctx)
}

// follow decides anew which store counts, and opens it: then [ErrMoved].
func (s *Session) follow(ctx context.Context) error {
	if s.store.kind() == SQLite {
		return nil // a gateway never goes back to files
	}
	now, err := openStore(ctx, s.options)
	if err != nil {
		return err
	}
	if now.kind() == s.store.kind() {
		return now.close()
	}
	before := s.store
	s.store = now
	return errors.Join(ErrMoved, before.close())
}

// planned is what would be done, and the entries as they are in the store.
type planned struct {
	results []Result
	present map[string]entry
}

// plan decides what each device needs, and writes nothing.
func plan(ctx context.Context, from store, l *ledger, devices []Device) (planned, error) {
	mark, err := from.mark(ctx)
	if err != nil {
		return planned{}, err
	}
	ids := make([]string, len(devices))
	for i, device := range devices {
		ids[i] = device.ID()
	}
	present, err := from.lookup(ctx, ids)
	if err != nil {
		return planned{}, err
	}
	out := planned{present: present}
	for i, device := range devices {
		e, here := present[ids[i]]
		result := Result{Name: device.Name, DeviceID: ids[i], Again: l.knows(ids[i])}
		if result.Outcome, result.Changes, err = judge(ctx, from, l, device, e, here, mark); err != nil {
			return planned{}, err
		}
		if result.Outcome != Revoked {
			result.Scopes = e.scopes()
			result.Wider = missing(device.Scopes, result.Scopes)
		}
		out.results = append(out.results, result)
	}
	return out, nil
}

// judge decides about one device.
func judge(ctx context.Context, from store, l *ledger, device Device, e entry, here bool, mark string) (Outcome, []string, error) {
	if device.Reseed {
		return Created, nil, nil
	}
	if here {
		if l.revokedByUs(device.ID()) || e.tokenRevoked() {
			return Revoked, nil, nil
		}
		if changes := e.lacks(device); len(changes) > 0 {
			return Updated, changes, nil
		}
		return Unchanged, nil, nil
	}
	gone, err := removed(ctx, from, l, device.ID(), mark)
	if gone || l.nameRevoked(device.Name) {
		return Revoked, nil, err
	}
	return Created, nil, err
}

// removed tells of a device that is not in the store whether somebody removed
// it from there.
func removed(ctx context.Context, from store, l *ledger, deviceID, mark string) (bool, error) {
	if l.revoked(deviceID, from.kind(), mark) {
		return true, nil
	}
	if !l.seededInto(deviceID, JSON) {
		return false, nil
	}
	return from.imported(ctx, deviceID)
}

// write brings the store to what was planned. What is about to change is in
// the audit log before it is in the store.
func (s *Session) write(ctx context.Context, devices []Device, found planned) error {
	due := map[string]Device{}
	var lines []auditLine
	for i, result := range found.results {
		switch result.Outcome {
		case Created, Updated:
			due[result.DeviceID] = devices[i]
			lines = append(lines, s.auditLine(actionOf(devices[i], result.Outcome), devices[i].Name, result.DeviceID, devices[i].Scopes))
		case Revoked:
			if _, here := found.present[result.DeviceID]; here && s.ledger.revokedByUs(result.DeviceID) {
				// A gateway's late write has brought it back.
				if _, err := s.removeDevice(ctx, result.Name, result.DeviceID, "revoked"); err != nil {
					return err
				}
			}
		case Unchanged:
		}
	}
	if len(due) == 0 {
		return nil
	}
	if err := s.audit(lines...); err != nil {
		return err
	}
	return s.store.update(ctx, due, func(e *entry, device Device) {
		if device.Reseed {
			e.forget()
		}
		e.merge(device, time.Now())
		found.present[device.ID()] = *e
	})
}

// settle fills in the results, keeps the local token in step and takes the
// devices into the ledger.
func (s *Session) settle(ctx context.Context, devices []Device, found planned) error {
	for i, device := range devices {
		result := &found.results[i]
		if result.Outcome == Revoked {
			s.ledger.noteRevoked(result.DeviceID)
			continue
		}
		e := found.present[result.DeviceID]
		result.Scopes, result.Token = e.scopes(), e.token()
		result.Wider = missing(device.Scopes, result.Scopes)
		if device.Local {
			if err := s.store.keepLocalToken(ctx, result.DeviceID, e); err != nil {
				return err
			}
		}
	}
	// Only now: what marks a database as seeded is the local token in it.
	mark, err := s.store.mark(ctx)
	if err != nil {
		return err
	}
	for i, device := range devices {
		if result := found.results[i]; result.Outcome != Revoked {
			// A JSON-era gateway that runs may still overwrite what was written.
			certain := result.Outcome != Created || !s.options.Live || s.store.kind() != JSON
			s.ledger.record(device, result.Outcome, s.store.kind(), mark, certain)
		}
	}
	return nil
}

// actionOf is the audit log's word for it.
func actionOf(device Device, outcome Outcome) string {
	if device.Reseed {
		return "reseeded"
	}
	return string(outcome)
}

// Plan tells what [Session.Pair] would do. It takes no lock and writes nothing, but
// see [statedb.Open].
func Plan(ctx context.Context, options Options, devices ...Device) ([]Result, Info, error) {
	l, err := readLedger(options.StateDir)
	if err != nil {
		return nil, Info{}, err
	}
	opened, err := openStore(ctx, options)
	if err != nil {
		return nil, Info{}, err
	}
	found, err := plan(ctx, opened, l, devices)
	info := infoOf(opened)
	return found.results, info, errors.Join(err, opened.close())
}
