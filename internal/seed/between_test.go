package seed

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// storeWithHook does something just before the store is written.
type storeWithHook struct {
	store
	before func()
}

func (s storeWithHook) update(ctx context.Context, devices map[string]Device, without []string, change func(*entry, Device)) ([]string, error) {
	s.before()
	return s.store.update(ctx, devices, without, change)
}

// A removal between the look at the store and the write holds like any other one.
func TestARemovalBetweenThePlanAndTheWriteHolds(t *testing.T) {
	for name, make := range map[string]func(t *testing.T, dir string) (remove func(id string)){
		"from files":      func(_ *testing.T, dir string) func(string) { return removeFromFile(t, dir) },
		"from a database": removeFromDatabase,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			remove := make(t, dir)
			key, err := identity.New(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			public, err := identity.ParsePublicKey(key.PublicKey())
			if err != nil {
				t.Fatal(err)
			}
			device := Device{Name: "agent-1", PublicKey: public, Scopes: []string{"operator.read"}}
			options := Options{StateDir: dir, LockTimeout: time.Minute}
			for act, change := range map[string]func(*Session) (Outcome, error){
				"pairing with more scopes": func(s *Session) (Outcome, error) {
					wider := device
					wider.Scopes = []string{"operator.admin", "operator.read"}
					results, err := s.Pair(t.Context(), wider)
					return results[0].Outcome, err
				},
				"rotating": func(s *Session) (Outcome, error) {
					_, err := s.Rotate(t.Context(), "agent-1", "", func([]Result) error { return nil })
					if err == nil || !strings.Contains(err.Error(), "not paired any more") {
						t.Errorf("rotated: %v", err)
					}
					return Revoked, nil
				},
			} {
				err := InSession(t.Context(), options, func(s *Session) error {
					again := device
					again.Reseed = true
					if _, err := s.Pair(t.Context(), again); err != nil {
						return err
					}
					s.store = storeWithHook{s.store, func() { remove(device.ID()) }}
					outcome, err := change(s)
					if outcome != Revoked {
						t.Errorf("%s: %s", act, outcome)
					}
					present, lookupErr := s.store.lookup(t.Context(), []string{device.ID()})
					if len(present) > 0 {
						t.Errorf("%s: it is back", act)
					}
					return errors.Join(err, lookupErr)
				})
				if err != nil {
					t.Fatal(err)
				}
				err = InSession(t.Context(), options, func(s *Session) error {
					results, err := s.Pair(t.Context(), device)
					if err == nil && results[0].Outcome != Revoked {
						t.Errorf("%s, and later: %+v", act, results)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func removeFromDatabase(t *testing.T, dir string) func(id string) {
	script, err := os.ReadFile("../statedb/testdata/gateway.sql")
	if err := errors.Join(err, os.Mkdir(filepath.Dir(statedb.Path(dir)), 0o700)); err != nil {
		t.Fatal(err)
	}
	run := func(statement string, args ...any) {
		db, err := sql.Open("sqlite", statedb.Path(dir))
		if err == nil {
			_, err = db.Exec(statement, args...)
			err = errors.Join(err, db.Close())
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	run(string(script))
	return func(id string) { run("DELETE FROM device_pairing_paired WHERE device_id = ?", id) }
}

func removeFromFile(t *testing.T, dir string) func(id string) {
	path := filepath.Join(dir, "devices", "paired.json")
	return func(id string) {
		var devices map[string]json.RawMessage
		data, err := os.ReadFile(path)
		if err := errors.Join(err, json.Unmarshal(data, &devices)); err != nil {
			t.Fatal(err)
		}
		delete(devices, id)
		gatewayPairs(t, path, string(marshal(devices)))
	}
}

// Beside a gateway of the file era the merge shows it.
func TestAMergeDoesNotBringBackWhatTheGatewayRemoved(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "devices", "paired.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.Mkdir(Dir(dir), 0o700)); err != nil {
		t.Fatal(err)
	}
	gatewayPairs(t, path, `{"agent": {"deviceId": "agent"}, "other": {}}`)
	files := &jsonStore{stateDir: dir, live: true}
	writes := 0
	gone, err := files.update(t.Context(), map[string]Device{"agent": {known: true}, "new": {}}, nil, func(e *entry, _ Device) {
		e.set("changed", true)
		if writes++; writes == 1 {
			gatewayPairs(t, path, `{"other": {}}`)
		}
	})
	found, lookupErr := files.lookup(t.Context(), []string{"agent", "new", "other"})
	if err := errors.Join(err, lookupErr); err != nil {
		t.Fatal(err)
	}
	if _, back := found["agent"]; back || len(found) != 2 || len(gone) != 1 {
		t.Errorf("gone is %v, there is %v", gone, found)
	}
}
