package seed_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
