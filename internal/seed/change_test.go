package seed_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/seed"
)

// pairClients pairs devices under names, with the scope operator.read.
func pairClients(t *testing.T, dir string, names ...string) (devices []seed.Device, results []seed.Result) {
	t.Helper()
	for _, name := range names {
		devices = append(devices, device(t, name, newIdentity(t), false, "operator.read"))
	}
	err := withSession(t, options(dir), func(session *seed.Session) (err error) {
		results, err = session.Pair(context.Background(), devices...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return devices, results
}

func TestRevokingHoldsUntilReseeded(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		devices, before := pairClients(t, dir, "agent-1", "agent-2")
		err := withSession(t, options(dir), func(session *seed.Session) error {
			revoked, err := session.Revoke(context.Background(), "agent-1")
			if len(revoked) != 1 || revoked[0].DeviceID != devices[0].ID() || revoked[0].Outcome != seed.Revoked {
				t.Errorf("got %+v", revoked)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		outcomes := func(devices ...seed.Device) (results []seed.Result) {
			err := withSession(t, options(dir), func(session *seed.Session) (err error) {
				results, err = session.Pair(context.Background(), devices...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			return results
		}
		after := outcomes(devices...)
		if after[0].Outcome != seed.Revoked || after[1].Outcome != seed.Unchanged {
			t.Errorf("a later run: %+v", after)
		}
		devices[0].Reseed = true
		again := outcomes(devices...)
		if again[0].Outcome != seed.Created || again[0].Token == before[0].Token || again[1].Token != before[1].Token {
			t.Errorf("reseeded: %+v", again)
		}
		devices[0].Reseed = false
		if later := outcomes(devices...); later[0].Outcome != seed.Unchanged {
			t.Errorf("after that: %+v", later)
		}
	})
}

func TestADeviceThatWasRemovedIsKnownByItsID(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		devices, _ := pairClients(t, dir, "revoked", "stays")
		err := withSession(t, options(dir), func(session *seed.Session) error {
			_, err := session.Revoke(context.Background(), "revoked")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		for id, want := range map[string]bool{devices[0].ID(): true, devices[1].ID(): false, "a stranger's": false} {
			if removed, err := seed.WasRemoved(context.Background(), options(dir), id); err != nil || removed != want {
				t.Errorf("%s: %v, %v", id, removed, err)
			}
		}
	})
}

// A client whose bundle was lost has another key; the older one goes on being
// let in until somebody takes it out, who only knows the name.
func TestAnOlderKeyOfANameIsFoundAfterReseeding(t *testing.T) {
	for action, takeOut := range map[string]func(*seed.Session, seed.Device) ([]seed.Result, error){
		"revoke": func(s *seed.Session, d seed.Device) ([]seed.Result, error) {
			return s.Revoke(context.Background(), d.Name)
		},
		"prune": func(s *seed.Session, d seed.Device) ([]seed.Result, error) { return s.Prune(context.Background(), d) },
	} {
		t.Run(action, func(t *testing.T) {
			eachStore(t, func(t *testing.T, dir string) {
				older, _ := pairClients(t, dir, "agent-1")
				newer := device(t, "agent-1", newIdentity(t), false, "operator.read")
				newer.Reseed = true
				err := withSession(t, options(dir), func(session *seed.Session) error {
					if _, err := session.Pair(context.Background(), newer); err != nil {
						return err
					}
					_, err := takeOut(session, newer)
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				survey, err := seed.Take(context.Background(), options(dir))
				if err != nil {
					t.Fatal(err)
				}
				for _, seen := range survey.Devices {
					if seen.DeviceID == older[0].ID() && seen.Present {
						t.Errorf("the older key is still paired: %+v", seen)
					}
				}
			})
		})
	}
}

// Of several keys, the last is the one to go on with.
func TestTheNewestKeyOfANameComesLast(t *testing.T) {
	dir := t.TempDir()
	var last seed.Device
	for range 8 { // ids have no order in time
		devices, _ := pairClients(t, dir, "agent-1")
		last = devices[0]
		time.Sleep(2 * time.Millisecond)
	}
	err := withSession(t, options(dir), func(session *seed.Session) error {
		known, err := session.Seeded("agent-1")
		if len(known) != 8 || known[7].ID() != last.ID() {
			t.Errorf("got %d keys, the last %s, want %s", len(known), known[len(known)-1].ID(), last.ID())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestReseedingGrantsExactlyWhatIsAsked(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		devices, _ := pairClients(t, dir, "agent-1")
		wide, narrow := devices[0], devices[0]
		wide.Scopes = []string{"operator.admin", "operator.read"}
		narrow.Reseed = true
		err := withSession(t, options(dir), func(session *seed.Session) error {
			if _, err := session.Pair(context.Background(), wide); err != nil {
				return err
			}
			results, err := session.Pair(context.Background(), narrow)
			if got := strings.Join(results[0].Scopes, ","); got != "operator.read" {
				t.Errorf("got %s", got)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestPruningTakesOnlyWhatWasSeeded(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		foreign, _ := pairClients(t, dir, "not ours")
		if err := os.Remove(filepath.Join(dir, "bootstrap", "ledger.json")); err != nil {
			t.Fatal(err)
		}
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		ours, _ := pairClients(t, dir, "agent-1", "agent-2")
		err := withSession(t, options(dir), func(session *seed.Session) error {
			pruned, err := session.Prune(context.Background(), ours[1])
			if len(pruned) != 1 || pruned[0].DeviceID != ours[0].ID() {
				t.Errorf("pruned: %+v", pruned)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		survey, err := seed.Take(context.Background(), options(dir))
		if err != nil {
			t.Fatal(err)
		}
		here := map[string]bool{}
		for _, device := range survey.Devices {
			here[device.DeviceID] = true
		}
		if here[ours[0].ID()] || !here[ours[1].ID()] || !here[foreign[0].ID()] || len(here) != 3 {
			t.Errorf("afterwards: %+v", survey.Devices)
		}
	})
}

func TestRotatingChangesTheTokenAndNothingElse(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		devices, before := pairClients(t, dir, "agent-1")
		err := withSession(t, options(dir), func(session *seed.Session) error {
			rotated, err := session.Rotate(context.Background(), "agent-1", "", func([]seed.Result) error { return nil })
			if err != nil {
				return err
			}
			if len(rotated) != 1 || rotated[0].Token == before[0].Token || len(rotated[0].Token) != 43 {
				t.Error("the token is the same")
			}
			results, err := session.Pair(context.Background(), devices...)
			if results[0].Outcome != seed.Unchanged || results[0].Token != rotated[0].Token {
				t.Errorf("afterwards: %+v", results[0])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}

func TestAnUnknownNameIsAnswered(t *testing.T) {
	dir := t.TempDir()
	pairClients(t, dir, "agent-1")
	err := withSession(t, options(dir), func(session *seed.Session) error {
		_, err := session.Revoke(context.Background(), "agent-2")
		return err
	})
	var unknown *seed.NameError
	if !errors.As(err, &unknown) || !strings.Contains(unknown.Hint(), "agent-1") {
		t.Errorf("got %v", err)
	}
}

func TestEveryChangeIsInTheAuditLog(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		devices, _ := pairClients(t, dir, "agent-1")
		reseed := devices[0]
		reseed.Reseed = true
		err := withSession(t, options(dir), func(session *seed.Session) error {
			_, rotate := session.Rotate(context.Background(), "agent-1", "", func([]seed.Result) error { return nil })
			_, revoke := session.Revoke(context.Background(), "agent-1")
			_, pair := session.Pair(context.Background(), devices...)
			_, again := session.Pair(context.Background(), reseed)
			_, prune := session.Prune(context.Background())
			return errors.Join(rotate, revoke, pair, again, prune)
		})
		if err != nil {
			t.Fatal(err)
		}
		var actions []string
		log := read(t, filepath.Join(dir, "bootstrap", "audit.jsonl"))
		for line := range strings.Lines(log) {
			var entry struct{ Action, Name, DeviceID, Time string }
			if err := json.Unmarshal([]byte(line), &entry); err != nil || entry.Name != "agent-1" || entry.DeviceID != devices[0].ID() || entry.Time == "" {
				t.Errorf("line %q: %v", line, err)
			}
			actions = append(actions, entry.Action)
		}
		if got := strings.Join(actions, " "); got != "created rotated revoked reseeded pruned" {
			t.Errorf("got %s", got)
		}
	})
}

func TestARemovalHoldsOverAnUpgrade(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
	}
	write(t, filepath.Join(dir, "devices", "paired.json"), "{}")
	if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Revoked {
		t.Fatalf("before the upgrade: %+v, %v", result, err)
	}
	migrate(t, dir)
	if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Revoked {
		t.Errorf("after the upgrade: %+v, %v", result, err)
	}
}

func TestARemovalRightAfterTheImportHolds(t *testing.T) {
	dir := t.TempDir()
	if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
		t.Fatal(err)
	}
	// The first boot imports the files and renames them; then somebody removes
	// the device, before any later run has seen it.
	paired := filepath.Join(dir, "devices", "paired.json")
	if err := os.Rename(paired, paired+".migrated"); err != nil {
		t.Fatal(err)
	}
	migrate(t, dir)
	if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Revoked {
		t.Errorf("got %+v, %v", result, err)
	}
}

// migrate puts a gateway's empty database into a state directory.
func migrate(t *testing.T, dir string) {
	t.Helper()
	if err := os.Rename(filepath.Join(database(t, gatewayTables(t)), "state"), filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
}

func TestADatabaseFromBeforeTheSeedingIsSeededAgain(t *testing.T) {
	dir := database(t, gatewayTables(t))
	backup := read(t, filepath.Join(dir, "state", "openclaw.sqlite"))
	for range 2 {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
	}
	// In place, as cp does it: the file's inode and birth stay the same.
	write(t, filepath.Join(dir, "state", "openclaw.sqlite"), backup)
	if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Created {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestCuttingADeviceOutKeepsTheOthersToTheByte(t *testing.T) {
	dir, path := pairedFile(t, `{"aa" : 1.50 ,`+"\n"+`"bb":{"x":[1,2]},"aa":{}}`)
	devices, _ := pairClients(t, dir, "agent-1", "agent-2")
	err := withSession(t, options(dir), func(session *seed.Session) error {
		_, first := session.Revoke(context.Background(), "agent-1")
		_, second := session.Revoke(context.Background(), "agent-2")
		return errors.Join(first, second)
	})
	if err != nil || len(devices) != 2 {
		t.Fatal(err)
	}
	if got := read(t, path); got != `{"aa" : 1.50 ,`+"\n"+`"bb":{"x":[1,2]},"aa":{}}` {
		t.Errorf("got %q", got)
	}
}
