package seed

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"time"
)

// errMoved says that a gateway's first boot has made its database while the
// files were written. [InSession] begins again, for the directory's own device may be
// another one now.
var errMoved = errors.New("a gateway has moved the pairing store into its database meanwhile")

// pairOnce is [Session.Pair] without the barrier, and says whether it changed the store.
func (s *Session) pairOnce(ctx context.Context, devices []Device) (_ []Result, changed bool, err error) {
	found, err := plan(ctx, s.store, s.ledger, devices)
	if err != nil {
		return nil, false, err
	}
	s.anew = s.anew || found.mark == ""
	if changed, err = s.finishRevoking(ctx, devices, found.present); err != nil {
		return nil, false, err
	}
	if err := s.write(ctx, devices, found); err != nil {
		return nil, false, err
	}
	if err := s.settle(ctx, devices, found); err != nil {
		return nil, false, err
	}
	if err := s.keepLedger(); err != nil {
		return nil, false, err
	}
	if err := s.unstage(devices, found.formers); err != nil {
		return nil, false, err
	}
	return found.results, changed || slices.ContainsFunc(found.results, Result.Written), s.follow(ctx)
}

// finishRevoking takes out what was revoked by us and is in the store all the same: the
// run that revoked it was killed or could not write, a gateway wrote it back, or the
// store alone was restored. Who is reseeded stays.
func (s *Session) finishRevoking(ctx context.Context, devices []Device, present map[string]entry) (some bool, err error) {
	reseeded := map[string]bool{}
	for _, device := range devices {
		reseeded[device.ID()] = device.Reseed
	}
	var left []string
	for _, id := range s.ledger.allRevokedByUs() {
		if e, here := present[id]; here && !reseeded[id] && s.ledger.lingers(id, e) {
			left = append(left, id)
			s.options.Log.Warn().Str("name", s.ledger.data.Devices[id].Name).Str("device", short(id)).
				Msg("it was revoked and is still in the store: it is taken out")
		}
	}
	if len(left) == 0 {
		return false, nil
	}
	_, err = s.removeDevices(ctx, "revoked", left)
	return true, err
}

// follow decides anew which store counts, and opens it: then [errMoved].
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
	return errors.Join(errMoved, before.close())
}

// planned is what would be done, and the entries as they are in the store.
type planned struct {
	// mark is [markFor] as it was.
	mark    string
	results []Result
	present map[string]entry
	// formers are each device's former keys, and missed those that turn out to have
	// been removed from the store by somebody.
	formers [][]string
	missed  []string
}

// retired are the former keys that are to leave the store.
func (p planned) retired() (ids []string) {
	for _, result := range p.results {
		ids = append(ids, result.Retired...)
	}
	return ids
}

// plan decides what each device needs, and writes nothing.
func plan(ctx context.Context, from store, l *ledger, devices []Device) (planned, error) {
	mark, err := markFor(ctx, from, l)
	if err != nil {
		return planned{}, err
	}
	out := planned{mark: mark, formers: make([][]string, len(devices))}
	var ids []string
	wanted := setOf(idsOf(devices))
	for i, device := range devices {
		out.formers[i] = l.formers(device, wanted)
		ids = append(append(ids, device.ID()), out.formers[i]...)
	}
	ids = append(ids, l.allRevokedByUs()...)
	if out.present, err = from.lookup(ctx, ids); err != nil {
		return planned{}, err
	}
	for i, device := range devices {
		e, here := out.present[device.ID()]
		result := Result{Name: device.Name, DeviceID: device.ID(), Again: l.knows(device.ID()) && !l.seededInto(device.ID(), Staged)}
		if result.Outcome, result.Changes, err = judge(ctx, from, l, device, e, here, mark); err != nil {
			return planned{}, err
		}
		if result.Outcome == Created && !device.Reseed {
			missed, err := formerRemoved(ctx, from, l, out.formers[i], out.present, mark)
			if err != nil {
				return planned{}, err
			}
			if len(missed) > 0 {
				result.Outcome, out.missed = Revoked, append(out.missed, missed...)
			}
		}
		if result.Outcome != Revoked {
			result.Scopes = e.scopes()
			result.Wider = Beyond(device.Scopes, result.Scopes)
			for _, id := range out.formers[i] {
				if _, here := out.present[id]; here {
					result.Retired = append(result.Retired, id)
				}
			}
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
		if l.lingers(device.ID(), e) || e.tokenRevoked() {
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
	if l.data.Devices[deviceID].Retired {
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

// write brings the store to what was planned. What is about to change is in
// the audit log before it is in the store.
func (s *Session) write(ctx context.Context, devices []Device, found planned) error {
	due := map[string]Device{}
	var lines []auditLine
	for i, result := range found.results {
		switch result.Outcome {
		case Created, Updated:
			device := devices[i]
			device.known = result.Outcome == Updated
			due[result.DeviceID] = device
			lines = append(lines, s.auditLine(actionOf(devices[i], result.Outcome), devices[i].Name, result.DeviceID, devices[i].Scopes))
		case Revoked, Unchanged:
		}
		for _, id := range result.Retired {
			lines = append(lines, s.auditLine("retired", result.Name, id, nil))
		}
	}
	if len(lines) == 0 {
		return nil
	}
	if files, isFiles := s.store.(*jsonStore); isFiles && !files.staged {
		if err := s.makeFolder(filepath.Dir(files.path())); err != nil {
			return err
		}
	}
	if err := s.audit(lines...); err != nil {
		return err
	}
	if err := s.keepTokenFirst(ctx, due); err != nil {
		return err
	}
	retired := found.retired()
	if err := s.retire(retired); err != nil {
		return err
	}
	gone, err := s.store.update(ctx, due, retired, func(e *entry, device Device) {
		if device.Reseed {
			e.forget()
		}
		e.merge(device, time.Now())
		found.present[device.ID()] = *e
	})
	removed := setOf(gone)
	for i, result := range found.results {
		if removed[result.DeviceID] {
			found.results[i] = Result{Name: result.Name, DeviceID: result.DeviceID, Outcome: Revoked, Again: result.Again, Retired: result.Retired}
		}
	}
	return err
}

// keepTokenFirst gives the CLI in this directory its token before the store has it, where
// the identity was made in this session: one sync of their directory is for both. A run
// that is killed in between leaves a token that nobody knows, and the next one makes
// another for both.
func (s *Session) keepTokenFirst(ctx context.Context, due map[string]Device) error {
	files, isFiles := s.store.(*jsonStore)
	if !isFiles || !files.keyUnsynced || s.options.Live != nil {
		return nil
	}
	for id, device := range due {
		if !device.Local {
			continue
		}
		device.token = newToken()
		due[id] = device
		var e entry
		e.merge(device, time.Now())
		return s.store.keepLocalToken(ctx, id, e)
	}
	return nil
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
		result.Wider = Beyond(device.Scopes, result.Scopes)
		if device.Local {
			if err := s.store.keepLocalToken(ctx, result.DeviceID, e); err != nil {
				return err
			}
		}
	}
	mark, err := s.store.lastingMark(ctx)
	if err != nil {
		return err
	}
	for _, id := range found.missed {
		s.ledger.noteRevoked(id)
	}
	for i, device := range devices {
		if result := found.results[i]; result.Outcome != Revoked {
			// A JSON-era gateway that runs may still overwrite what was written.
			overwritten := s.mayBeOverwritten()
			s.ledger.record(device, result.Outcome, s.store.kind(), mark, result.Outcome != Created || !overwritten)
			s.ledger.forgetRetired(found.formers[i], len(result.Retired) == 0 && result.Outcome != Created || !overwritten)
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
	var info Info
	found, err := fromStore(ctx, options, func(from store) (planned, error) {
		info = infoOf(from)
		return plan(ctx, from, l, devices)
	})
	return found.results, info, err
}
