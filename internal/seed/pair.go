package seed

import (
	"context"
	"errors"
	"slices"
	"time"
)

// Pair makes sure that each device is in the store, and in the ledger. Devices
// that were removed by somebody stay removed.
func (s *Session) Pair(ctx context.Context, devices ...Device) ([]Result, error) {
	for range maxDecisions {
		results, err := s.pair(ctx, devices)
		if err != nil {
			return nil, err
		}
		moved, err := s.moved(ctx)
		if err != nil {
			return nil, err
		}
		if !moved {
			return results, s.ledger.write()
		}
	}
	return nil, &StoreError{Path: s.store.path(), Err: errors.New("the store changed its kind again and again while it was written")}
}

// maxDecisions: a gateway changes from files to database once.
const maxDecisions = 3

// moved decides anew which store counts: a gateway's first boot may have
// imported the files while they were written. It then opens the other store.
func (s *Session) moved(ctx context.Context) (bool, error) {
	if s.store.kind() == SQLite {
		return false, nil // a gateway never goes back to files
	}
	now, err := openStore(ctx, s.options)
	if err != nil {
		return false, err
	}
	if now.kind() == s.store.kind() {
		return false, now.close()
	}
	before := s.store
	s.store = now
	return true, before.close()
}

// pair does one round against the store as it is now.
func (s *Session) pair(ctx context.Context, devices []Device) ([]Result, error) {
	found, err := plan(ctx, s.store, s.ledger, devices)
	if err != nil {
		return nil, err
	}
	due := map[string]Device{}
	for i, result := range found.results {
		if result.Outcome == Created || result.Outcome == Updated {
			due[result.DeviceID] = devices[i]
		}
	}
	if len(due) > 0 {
		err := s.store.update(ctx, due, func(e *entry, device Device) {
			if device.Reseed {
				e.forget()
			}
			e.merge(device, time.Now())
			found.present[device.ID()] = *e
		})
		if err != nil {
			return nil, err
		}
	}
	return found.results, s.settle(ctx, devices, found)
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
		result := Result{Name: device.Name, DeviceID: ids[i], Outcome: Unchanged}
		switch gone, err := removed(ctx, from, l, ids[i], here, mark); {
		case err != nil:
			return planned{}, err
		case device.Reseed:
			result.Outcome = Created
		case gone, here && e.tokenRevoked():
			result.Outcome = Revoked
		case !here:
			result.Outcome = Created
		default:
			if result.Changes = e.lacks(device); len(result.Changes) > 0 {
				result.Outcome = Updated
			}
		}
		if result.Outcome != Revoked {
			result.Scopes = e.scopes()
			result.Wider = missing(device.Scopes, result.Scopes)
		}
		out.results = append(out.results, result)
	}
	return out, nil
}

// s0 tells whether somebody removed the device from this very store.
func removed(ctx context.Context, from store, l *ledger, deviceID string, here bool, mark string) (bool, error) {
	if here {
		return false, nil
	}
	if l.revoked(deviceID, from.kind(), mark) {
		return true, nil
	}
	if !l.seededInto(deviceID, JSON) {
		return false, nil
	}
	return from.imported(ctx, deviceID)
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
		result := found.results[i]
		if result.Outcome == Revoked {
			continue
		}
		s.ledger.record(device, result.DeviceID, result.Outcome, s.store.kind(), mark)
		if result.Outcome != Unchanged {
			if err := s.audit(actionOf(device, result.Outcome), device.Name, result.DeviceID, result.Scopes); err != nil {
				return err
			}
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

// Confirm records that devices of ours were seen in the store that counts now,
// after the gateway has used it: from here on, their absence is a revocation.
// It does nothing, and takes no lock, where that is known already.
func Confirm(ctx context.Context, options Options, deviceIDs ...string) error {
	l, err := readLedger(options.StateDir)
	if err != nil {
		return err
	}
	deviceIDs = slices.DeleteFunc(slices.Clone(deviceIDs), func(id string) bool {
		record, known := l.data.Devices[id]
		return !known || record.Confirmed
	})
	if len(deviceIDs) == 0 {
		return nil
	}
	session, err := Open(ctx, options)
	if err != nil {
		return err
	}
	return errors.Join(session.confirm(ctx, deviceIDs), session.Close())
}

func (s *Session) confirm(ctx context.Context, deviceIDs []string) error {
	present, err := s.store.lookup(ctx, deviceIDs)
	if err != nil {
		return err
	}
	mark, err := s.store.mark(ctx)
	if err != nil {
		return err
	}
	for id := range present {
		s.ledger.confirm(id, s.store.kind(), mark)
	}
	return s.ledger.write()
}

// Plan tells what [Session.Pair] would do. It takes no lock and writes nothing.
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
