package seed_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// revokedInTheLedgerAlone is what "seed revoke" leaves where the database is locked, or
// where it is killed right after it has kept the ledger.
func revokedInTheLedgerAlone(t *testing.T, dir string, devices ...seed.Device) {
	t.Helper()
	withBeside(t, dir, func(b *seed.LedgerSession) {
		for _, device := range devices {
			b.Revoked(device)
		}
	})
}

func TestTheNextRunFinishesARemovalThoughNobodyNamesTheDeviceAnyMore(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		self, err := pairSelf(t, options(dir), "operator.read")
		if err != nil {
			t.Fatal(err)
		}
		devices, _ := pairClients(t, dir, "agent-1", "agent-2")
		revokedInTheLedgerAlone(t, dir, devices[0])
		survey, err := seed.Take(t.Context(), options(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, seen := range survey.Devices {
			if want := seen.DeviceID == devices[0].ID(); seen.Revoked != want || !seen.Present {
				t.Errorf("in the survey: %+v", seen)
			}
		}
		if again, err := pairSelf(t, options(dir), "operator.read"); err != nil || again.Outcome != seed.Unchanged {
			t.Fatalf("the next run: %+v, %v", again, err)
		}
		if got, want := present(t, options(dir)), sorted([]string{self.DeviceID, devices[1].ID()}); !slices.Equal(got, want) {
			t.Errorf("paired are %v, not %v", got, want)
		}
		audit := read(t, filepath.Join(seed.Dir(dir), "audit.jsonl"))
		if n := strings.Count(audit, `"action":"revoked","name":"agent-1"`); n != 1 {
			t.Errorf("%d audit lines, not 1:\n%s", n, audit)
		}
	})
}

func TestADeviceOfARestoredStoreThatWasRevokedGoesAgain(t *testing.T) {
	dir := t.TempDir()
	if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
		t.Fatal(err)
	}
	pairClients(t, dir, "agent-1")
	path := filepath.Join(dir, "devices", "paired.json")
	backup := read(t, path)
	if err := withSession(t, options(dir), func(session *seed.Session) error {
		_, err := session.Revoke(t.Context(), "agent-1")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(backup), 0o600); err != nil {
		t.Fatal(err)
	}
	self, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	if got := present(t, options(dir)); !slices.Equal(got, []string{self.DeviceID}) {
		t.Errorf("paired are %v", got)
	}
}

// A gateway of the file era may write back what it had read before.
func TestARemovalThatIsFinishedOutlastsAGatewayThatRuns(t *testing.T) {
	dir := t.TempDir()
	self, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	devices, _ := pairClients(t, dir, "agent-1")
	before := read(t, filepath.Join(dir, "devices", "paired.json"))
	revokedInTheLedgerAlone(t, dir, devices...)
	live, connects := options(dir), 0
	live.Live = func(context.Context, seed.Credentials) bool {
		if connects++; connects == 1 {
			gatewayWrites(t, dir, before)
		}
		return true
	}
	if _, err := pairSelf(t, live, "operator.read"); err != nil {
		t.Fatal(err)
	}
	if got := present(t, live); connects != 2 || !slices.Equal(got, []string{self.DeviceID}) {
		t.Errorf("after %d connects paired are %v", connects, got)
	}
}

func TestReseedingKeepsADeviceThatWasRevokedAndIsStillThere(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		devices, before := pairClients(t, dir, "agent-1")
		revokedInTheLedgerAlone(t, dir, devices...)
		devices[0].Reseed = true
		if result := pairOne(t, options(dir), devices[0]); result.Outcome != seed.Created || result.Token == before[0].Token {
			t.Errorf("reseeded: %+v", result)
		}
		devices[0].Reseed = false
		if result := pairOne(t, options(dir), devices[0]); result.Outcome != seed.Unchanged {
			t.Errorf("after that: %+v", result)
		}
	})
}

// It was removed, whether or not a run has noticed that before its name was dropped.
func TestPruningForgetsNoRemoval(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		devices, _ := pairClients(t, dir, "agent-1")
		remove(t, dir)
		for range 2 {
			if err := withSession(t, options(dir), func(session *seed.Session) error {
				pruned, err := session.Prune(t.Context())
				if len(pruned) > 0 {
					t.Errorf("pruned %+v", pruned)
				}
				return err
			}); err != nil {
				t.Fatal(err)
			}
		}
		if result := pairOne(t, options(dir), devices[0]); result.Outcome != seed.Revoked {
			t.Errorf("named again: %+v", result)
		}
	})
}

// approvedByHand is what a person's yes leaves of a device that is paired, after all else.
func approvedByHand(t *testing.T, dir, via string) {
	t.Helper()
	const later = 4102444800000 // 2100
	if path := filepath.Join(dir, "devices", "paired.json"); exists(path) {
		edited := regexp.MustCompile(`"approvedAtMs": ?\d+`).ReplaceAllString(read(t, path), fmt.Sprintf(`"approvedAtMs":%d,"approvedVia":%q`, int64(later), via))
		write(t, path, edited)
	}
	if exists(filepath.Join(dir, "state")) {
		if _, err := openDatabase(t, dir).Exec("UPDATE device_pairing_paired SET approved_at_ms = ?, approved_via = ?", int64(later), via); err != nil {
			t.Fatal(err)
		}
	}
}

// approvals keeps what is paired now, and gives a function that puts it back in place.
func approvals(t *testing.T, dir string) (restore func()) {
	t.Helper()
	if path := filepath.Join(dir, "devices", "paired.json"); exists(path) {
		content := read(t, path)
		return func() { write(t, path, content) }
	}
	db := openDatabase(t, dir)
	if _, err := db.Exec("CREATE TABLE kept AS SELECT * FROM device_pairing_paired"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := db.Exec("INSERT OR REPLACE INTO device_pairing_paired SELECT * FROM kept"); err != nil {
			t.Fatal(err)
		}
	}
}

func TestADeviceThatAPersonApprovesAfterItWasRevokedStays(t *testing.T) {
	for via, stays := range map[string]bool{"owner": true, "silent": false} {
		t.Run(via, func(t *testing.T) {
			eachStore(t, func(t *testing.T, dir string) {
				if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
					t.Fatal(err)
				}
				devices, _ := pairClients(t, dir, "agent-1")
				revokedInTheLedgerAlone(t, dir, devices...)
				approvedByHand(t, dir, via)
				survey, err := seed.Take(t.Context(), options(dir))
				if err != nil {
					t.Fatal(err)
				}
				for _, seen := range survey.Devices {
					if seen.DeviceID == devices[0].ID() && seen.Revoked == stays {
						t.Errorf("in the survey: %+v", seen)
					}
				}
				if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
					t.Fatal(err)
				}
				if here := slices.Contains(present(t, options(dir)), devices[0].ID()); here != stays {
					t.Errorf("it is paired: %v", here)
				}
				want := map[bool]seed.Outcome{true: seed.Unchanged, false: seed.Revoked}[stays]
				if named := pairOne(t, options(dir), devices[0]); named.Outcome != want {
					t.Errorf("named again: %+v", named)
				}
				if !stays {
					return
				}
				// A no after that yes counts again, also where it only gets to the ledger.
				backup := approvals(t, dir)
				if err := withSession(t, options(dir), func(session *seed.Session) error {
					_, err := session.Revoke(t.Context(), "agent-1")
					return err
				}); err != nil {
					t.Fatal(err)
				}
				backup()
				if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
					t.Fatal(err)
				}
				if slices.Contains(present(t, options(dir)), devices[0].ID()) {
					t.Error("it is paired again, after it was revoked again")
				}
			})
		})
	}
}

// Its name would be kept out with it, at the next change of its key.
func TestPruningAnOlderKeyKeepsItsNameWhereThatIsWanted(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		pairClients(t, dir, "agent-1")
		remove(t, dir)
		next, _ := pairClients(t, dir, "agent-1")
		if err := withSession(t, options(dir), func(session *seed.Session) error {
			_, err := session.Prune(t.Context(), next...)
			return err
		}); err != nil {
			t.Fatal(err)
		}
		if _, results := pairClients(t, dir, "agent-1"); results[0].Outcome != seed.Created {
			t.Errorf("with another key: %+v", results[0])
		}
	})
}

// A backup that is copied in place is from before the seeding, and nobody removed what it lacks.
func TestPruningAfterARestoreRemembersNoRemoval(t *testing.T) {
	dir := database(t, gatewayTables(t))
	if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
		t.Fatal(err)
	}
	devices, _ := pairClients(t, dir, "agent-1")
	remove(t, dir)
	if _, err := openDatabase(t, dir).Exec("DELETE FROM device_auth_tokens"); err != nil {
		t.Fatal(err)
	}
	if err := withSession(t, options(dir), func(session *seed.Session) error {
		self, _, err := session.Self(t.Context(), identity.Identity{}, identity.Identity{})
		if err != nil {
			return err
		}
		if _, err := session.Pair(t.Context(), device(t, seed.SelfName, self, true, "operator.read")); err != nil {
			return err
		}
		_, err = session.Prune(t.Context())
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if result := pairOne(t, options(dir), devices[0]); result.Outcome != seed.Created {
		t.Errorf("named again: %+v", result)
	}
}
