package seed

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// SelfName is what the state folder's own device is called.
const SelfName = "self"

// NameError says that no device of that name was ever seeded here.
type NameError struct {
	Name  string
	Known []string
}

func (e *NameError) Error() string { return fmt.Sprintf("no device %q was seeded here", e.Name) }

// Hint lists the names that there are.
func (e *NameError) Hint() string {
	if len(e.Known) == 0 {
		return "nothing was seeded into this state folder so far"
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
		devices = append(devices, Device{Name: name, PublicKey: public, Scopes: record.Scopes, Local: name == SelfName})
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
	for _, device := range devices {
		s.ledger.noteRevoked(device.ID())
		s.ledger.change(device.ID(), func(record *ledgerRecord) { record.RevokedByUs = true })
	}
	// First the ledger: killed in between, the next run finishes the removal.
	if err := s.ledger.write(); err != nil {
		return nil, err
	}
	var out []Result
	for _, device := range devices {
		result, err := s.removeDevice(ctx, name, device.ID(), "revoked")
		if err != nil {
			return out, err
		}
		out = append(out, result)
	}
	return out, nil
}

// Prune removes every device that was seeded and is not among the wanted ones.
// What others paired it never touches, nor the state folder's own device, nor
// the memory of what was revoked.
func (s *Session) Prune(ctx context.Context, wanted ...Device) ([]Result, error) {
	ids := s.ledger.unwanted(wanted)
	// Pruned is not revoked: killed in between, it must not look like that.
	for _, id := range ids {
		s.ledger.change(id, func(record *ledgerRecord) { record.Confirmed = false })
	}
	if err := s.ledger.write(); err != nil {
		return nil, err
	}
	var out []Result
	for _, id := range ids {
		result, err := s.removeDevice(ctx, s.ledger.data.Devices[id].Name, id, "pruned")
		if err != nil {
			return out, err
		}
		s.ledger.remove(id)
		out = append(out, result)
	}
	return out, s.ledger.write()
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

// unwanted are the ids of devices that were seeded and are not wanted any more.
func (l *ledger) unwanted(wanted []Device) (ids []string) {
	for _, name := range l.names() {
		for _, id := range l.byName(name) {
			isWanted := slices.ContainsFunc(wanted, func(d Device) bool { return d.ID() == id })
			if !isWanted && name != SelfName && l.data.Devices[id].RevokedAtMs == 0 {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// removeDevice takes one device out of the store; it may be gone already.
func (s *Session) removeDevice(ctx context.Context, name, id, action string) (Result, error) {
	result := Result{Name: name, DeviceID: id, Outcome: Unchanged}
	present, err := s.store.lookup(ctx, []string{id})
	if _, here := present[id]; err != nil || !here {
		return result, err
	}
	if err := s.audit(s.auditLine(action, name, id, nil)); err != nil {
		return result, err
	}
	if _, err := s.store.remove(ctx, id); err != nil {
		return result, err
	}
	result.Outcome = Revoked
	return result, nil
}

// Rotate gives the devices of a name other tokens with the same scopes. The
// caller hands them to the clients.
func (s *Session) Rotate(ctx context.Context, name string) ([]Result, error) {
	devices, err := s.Seeded(name)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, device := range devices {
		ids = append(ids, device.ID())
	}
	present, err := s.store.lookup(ctx, ids)
	if err != nil {
		return nil, err
	}
	due := map[string]Device{}
	var lines []auditLine
	for _, device := range devices {
		if e, here := present[device.ID()]; here && !e.tokenRevoked() {
			due[device.ID()] = device
			lines = append(lines, s.auditLine("rotated", name, device.ID(), e.scopes()))
		}
	}
	if len(due) == 0 {
		return nil, &StoreError{
			Path: s.store.path(), Err: fmt.Errorf("the device %q is not paired any more", name),
			Mend: "bootstrap seed --reseed " + name,
		}
	}
	if err := s.audit(lines...); err != nil {
		return nil, err
	}
	return s.retoken(ctx, name, due)
}

func (s *Session) retoken(ctx context.Context, name string, due map[string]Device) (out []Result, err error) {
	rotated := map[string]entry{}
	err = s.store.update(ctx, due, func(e *entry, device Device) {
		e.setToken(newToken(), time.Now())
		rotated[device.ID()] = *e
	})
	if err != nil {
		return nil, err
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

// Reassert makes sure that the results of a removal or a rotation still stand,
// and says whether they did not: a JSON-era gateway that runs may have written
// back what it had read before.
func (s *Session) Reassert(ctx context.Context, results ...Result) (changed bool, err error) {
	for _, result := range results {
		if result.Outcome == Revoked || result.Outcome == Unchanged {
			removed, err := s.store.remove(ctx, result.DeviceID)
			if err != nil {
				return changed, err
			}
			changed = changed || removed
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
		err = s.store.update(ctx, map[string]Device{result.DeviceID: {}}, func(e *entry, _ Device) {
			e.setToken(result.Token, time.Now())
		})
		if err != nil {
			return changed, err
		}
	}
	return changed, nil
}
