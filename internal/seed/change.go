package seed

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// SelfName is what the state directory's own device is called.
const SelfName = "self"

// NameError says that no device of that name was ever seeded here.
type NameError struct {
	Name  string
	Known []string
}

func (e *NameError) Error() string { return fmt.Sprintf("no device %q was seeded here", e.Name) }
func (e *NameError) Class() string { return "usage" }

// Hint lists the names that there are.
func (e *NameError) Hint() string {
	if len(e.Known) == 0 {
		return "nothing was seeded into this state directory so far"
	}
	return "seeded here: " + strings.Join(e.Known, ", ")
}

// Seeded returns the devices that were seeded under a name, with the scopes
// that they were seeded with. It fails with a [NameError].
func (s *Session) Seeded(name string) ([]Device, error) {
	var devices []Device
	for _, id := range s.ledger.byName(name) {
		record := s.ledger.data.Devices[id]
		public, err := identity.ParsePublicKey(record.PublicKey)
		if err != nil {
			return nil, &StoreError{Path: s.ledger.path, Err: fmt.Errorf("device %s: %w", short(id), err)}
		}
		devices = append(devices, Device{Name: name, PublicKey: public, Scopes: record.Scopes, Local: name == SelfName, Made: record.Made})
	}
	if len(devices) == 0 {
		return nil, &NameError{Name: name, Known: s.ledger.names()}
	}
	return devices, nil
}

// Revoke removes what was seeded under a name from the store, for good: later
// runs leave it out, and take it out, until it is reseeded.
func (s *Session) Revoke(ctx context.Context, name string) ([]Result, error) {
	devices, err := s.Seeded(name)
	if err != nil {
		return nil, err
	}
	present, _ := s.store.lookup(ctx, idsOf(devices)) // what cannot be read is not removed below, either
	for _, device := range devices {
		s.ledger.noteRevoked(device.ID())
		s.ledger.change(device.ID(), func(record *ledgerRecord) {
			record.RevokedByUs = true
			if e, here := present[device.ID()]; here { // a yes before this one counts no more, by whatever clock
				record.RevokedAtMs = max(time.Now().UnixMilli(), e.approvedAtMs())
			}
		})
	}
	// First the ledger: killed in between, the next run finishes the removal.
	if err := s.keepLedger(); err != nil {
		return nil, err
	}
	out, err := s.removeDevices(ctx, "revoked", idsOf(devices))
	if err != nil {
		return nil, err
	}
	return out, s.outlastGateway(ctx, out)
}

// Prune removes every device that was seeded and is not among the wanted ones.
// What others paired it never touches, nor the state directory's own device, nor
// the memory of what was revoked.
func (s *Session) Prune(ctx context.Context, wanted ...Device) ([]Result, error) {
	ids, err := s.notRemoved(ctx, s.ledger.unwanted(wanted), wanted)
	if err != nil {
		return nil, err
	}
	// Pruned is not revoked: killed in between, it must not look like that.
	for _, id := range ids {
		s.ledger.change(id, func(record *ledgerRecord) { record.Confirmed = false })
	}
	if err := s.keepLedger(); err != nil {
		return nil, err
	}
	out, err := s.removeDevices(ctx, "pruned", ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		s.ledger.remove(id)
	}
	if err := s.keepLedger(); err != nil {
		return nil, err
	}
	return out, s.outlastGateway(ctx, out)
}

// notRemoved are those of the ids that nobody has removed; a removal that no run has
// noticed so far is noted. An older key of a name that is wanted is let go of all the
// same, for its removal would keep the name out; and so is whatever a store lacks that was
// seeded anew just now.
func (s *Session) notRemoved(ctx context.Context, ids []string, wanted []Device) (rest []string, err error) {
	if s.anew {
		return ids, nil
	}
	names := map[string]bool{}
	for _, device := range wanted {
		names[device.Name] = true
	}
	mark, err := markFor(ctx, s.store, s.ledger)
	if err != nil {
		return nil, err
	}
	present, err := s.store.lookup(ctx, ids)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		gone := false
		if _, here := present[id]; !here && !names[s.ledger.data.Devices[id].Name] {
			if gone, err = removed(ctx, s.store, s.ledger, id, mark); err != nil {
				return nil, err
			}
		}
		if gone {
			s.ledger.noteRevoked(id)
		} else {
			rest = append(rest, id)
		}
	}
	return rest, nil
}

// PlanPrune tells what [Session.Prune] would remove. It takes no lock and writes
// nothing.
func PlanPrune(options Options, wanted ...Device) ([]Result, error) {
	l, err := readLedger(options.StateDir)
	if err != nil {
		return nil, err
	}
	var out []Result
	for _, id := range l.unwanted(wanted) {
		out = append(out, Result{Name: l.data.Devices[id].Name, DeviceID: id})
	}
	return out, nil
}

// Remembered is [Session.Seeded] without a lock, and whether the name was revoked: then
// another key of it stays out, too.
func Remembered(options Options, name string) (devices []Device, revoked bool, err error) {
	l, err := readLedger(options.StateDir)
	if err != nil {
		return nil, false, err
	}
	devices, err = (&Session{ledger: l}).Seeded(name)
	return devices, l.nameRevoked(name), err
}

// unwanted are the ids of devices that were seeded and are not wanted any more.
func (l *ledger) unwanted(wanted []Device) (ids []string) {
	isWanted := setOf(idsOf(wanted))
	for _, name := range l.names() {
		for _, id := range l.byName(name) {
			if !isWanted[id] && name != SelfName && l.data.Devices[id].RevokedAtMs == 0 {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// removeDevices takes devices of the ledger out of the store, in one step and with
// one write to the audit log before it, whatever their number. Some may be gone
// already: those are [Unchanged].
func (s *Session) removeDevices(ctx context.Context, action string, ids []string) ([]Result, error) {
	present, err := s.store.lookup(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []Result
	var lines []auditLine
	var here []string
	for _, id := range ids {
		result := Result{Name: s.ledger.data.Devices[id].Name, DeviceID: id, Outcome: Unchanged}
		if _, is := present[id]; is {
			result.Outcome = Revoked
			lines = append(lines, s.auditLine(action, result.Name, id, nil))
			here = append(here, id)
		}
		out = append(out, result)
	}
	if len(here) == 0 {
		return out, nil
	}
	if err := s.audit(lines...); err != nil {
		return nil, err
	}
	if _, err := s.store.remove(ctx, here...); err != nil {
		return nil, err
	}
	return out, nil
}

// Rotate gives the devices of a name other tokens with the same scopes. handOver
// gives them to the clients; reseed is the hint where none of them is paired.
func (s *Session) Rotate(ctx context.Context, name, reseed string, handOver func([]Result) error) ([]Result, error) {
	devices, err := s.Seeded(name)
	if err != nil {
		return nil, err
	}
	present, err := s.store.lookup(ctx, idsOf(devices))
	if err != nil {
		return nil, err
	}
	due := map[string]Device{}
	var lines []auditLine
	for _, device := range devices {
		if e, here := present[device.ID()]; here && !e.tokenRevoked() {
			device.known = true
			due[device.ID()] = device
			lines = append(lines, s.auditLine("rotated", name, device.ID(), e.scopes()))
		}
	}
	gone := &StoreError{Path: s.store.path(), Err: fmt.Errorf("the device %q is not paired any more", name), Fix: reseed}
	if len(due) == 0 {
		return nil, gone
	}
	if err := s.audit(lines...); err != nil {
		return nil, err
	}
	out, err := s.rotateTokens(ctx, name, due)
	if err == nil && len(out) == 0 {
		return nil, gone
	}
	if err == nil {
		err = handOver(out)
	}
	if err != nil {
		return out, err
	}
	return out, s.outlastGateway(ctx, out)
}

func (s *Session) rotateTokens(ctx context.Context, name string, due map[string]Device) (out []Result, err error) {
	rotated := map[string]entry{}
	gone, err := s.store.update(ctx, due, nil, func(e *entry, device Device) {
		e.setToken(newToken(), time.Now())
		rotated[device.ID()] = *e
	})
	if err != nil {
		return nil, err
	}
	for _, id := range gone {
		delete(rotated, id)
	}
	for id, e := range rotated {
		out = append(out, Result{Name: name, DeviceID: id, Outcome: Updated, Changes: []string{"tokens"}, Scopes: e.scopes(), Token: e.token()})
		if due[id].Local {
			if err := s.store.keepLocalToken(ctx, id, e); err != nil {
				return out, err
			}
		}
	}
	return out, nil
}

// reassert makes sure that a removal or a rotation is still in effect,
// and says whether they did not: a JSON-era gateway that runs may have written
// back what it had read before.
func (s *Session) reassert(ctx context.Context, results []Result) (changed bool, err error) {
	var gone []string
	for _, result := range results {
		if result.Outcome == Revoked || result.Outcome == Unchanged {
			gone = append(gone, result.DeviceID)
		}
	}
	if changed, err = s.store.remove(ctx, gone...); err != nil {
		return changed, err
	}
	for _, result := range results {
		if result.Outcome == Revoked || result.Outcome == Unchanged {
			continue
		}
		present, err := s.store.lookup(ctx, []string{result.DeviceID})
		if err != nil {
			return changed, err
		}
		e, here := present[result.DeviceID]
		if !here || e.token() == result.Token {
			continue
		}
		changed = true
		_, err = s.store.update(ctx, map[string]Device{result.DeviceID: {known: true}}, nil, func(e *entry, _ Device) {
			e.setToken(result.Token, time.Now())
		})
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}
