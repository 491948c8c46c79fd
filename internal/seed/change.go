package seed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

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

// Revoke removes what was seeded under a name from the store, for good: later
// runs leave it out until it is reseeded. It fails with a [NameError].
func (s *Session) Revoke(ctx context.Context, name string) ([]Result, error) {
	return s.remove(ctx, name, "revoked", s.ledger.noteRevoked)
}

// Prune removes every device that was seeded and is not among the wanted ones.
// What others paired it never touches, nor the state folder's own device.
func (s *Session) Prune(ctx context.Context, wanted ...Device) ([]Result, error) {
	keep := map[string]bool{}
	for _, device := range wanted {
		keep[device.ID()] = true
	}
	var out []Result
	for _, name := range s.ledger.names() {
		for _, id := range s.ledger.byName(name) {
			if keep[id] || name == SelfName {
				continue
			}
			result, err := s.removeDevice(ctx, name, id, "pruned")
			if err != nil {
				return out, err
			}
			s.ledger.remove(id)
			out = append(out, result)
		}
	}
	return out, s.ledger.write()
}

// SelfName is what the state folder's own device is called.
const SelfName = "self"

func (s *Session) remove(ctx context.Context, name, action string, note func(deviceID string)) ([]Result, error) {
	ids := s.ledger.byName(name)
	if len(ids) == 0 {
		return nil, &NameError{Name: name, Known: s.ledger.names()}
	}
	var out []Result
	for _, id := range ids {
		result, err := s.removeDevice(ctx, name, id, action)
		if err != nil {
			return out, err
		}
		note(id)
		out = append(out, result)
	}
	return out, s.ledger.write()
}

// removeDevice takes one device out of the store; it may be gone already.
func (s *Session) removeDevice(ctx context.Context, name, id, action string) (Result, error) {
	result := Result{Name: name, DeviceID: id, Outcome: Unchanged}
	removed, err := s.store.remove(ctx, id)
	if err != nil || !removed {
		return result, err
	}
	result.Outcome = Revoked
	return result, s.audit(action, name, id, nil)
}

// Rotate gives the device of a name another token with the same scopes. The
// caller hands it to the client.
func (s *Session) Rotate(ctx context.Context, name string) (Result, error) {
	ids := s.ledger.byName(name)
	if len(ids) == 0 {
		return Result{}, &NameError{Name: name, Known: s.ledger.names()}
	}
	present, err := s.store.lookup(ctx, ids)
	if err != nil {
		return Result{}, err
	}
	for id, e := range present {
		if e.tokenRevoked() {
			continue
		}
		return s.rotate(ctx, name, id)
	}
	return Result{}, &StoreError{
		Path: s.store.path(), Err: fmt.Errorf("the device %q is not paired any more", name),
		Mend: "bootstrap seed --reseed " + name,
	}
}

func (s *Session) rotate(ctx context.Context, name, id string) (Result, error) {
	var rotated entry
	err := s.store.update(ctx, map[string]Device{id: {}}, func(e *entry, _ Device) {
		e.rotate(time.Now())
		rotated = *e
	})
	if err != nil {
		return Result{}, err
	}
	result := Result{Name: name, DeviceID: id, Outcome: Updated, Changes: []string{"tokens"}, Scopes: rotated.scopes(), Token: rotated.token()}
	if name == SelfName {
		err = s.store.keepLocalToken(ctx, id, rotated)
	}
	return result, errors.Join(err, s.audit("rotated", name, id, result.Scopes))
}
