package seed_test

import (
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

func withBeside(t *testing.T, dir string, do func(*seed.LedgerSession)) {
	t.Helper()
	beside, err := seed.OpenLedger(t.Context(), options(dir))
	if err != nil {
		t.Fatal(err)
	}
	do(beside)
	if err := beside.Close(); err != nil {
		t.Fatal(err)
	}
}

// What the gateway was asked for holds for whoever opens its database next, and
// the other way round.
func TestWhatTheGatewayWasAskedForIsRemembered(t *testing.T) {
	dir := database(t, gatewayTables(t))
	self, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	client, fresh := newIdentity(t), newIdentity(t)
	wanted := device(t, "agent-1", client, false, "operator.read")
	withBeside(t, dir, func(b *seed.LedgerSession) {
		own, err := b.Seeded(seed.SelfName)
		if err != nil || len(own) != 1 || own[0].ID() != self.DeviceID {
			t.Errorf("our own device: %v, %v", own, err)
		}
		if b.StaysOut(own[0], true) || !b.StaysOut(own[0], false) {
			t.Error("a device that is gone counts as removed, one that is there does not")
		}
		if b.StaysOut(wanted, false) {
			t.Error("a device that was never seen stays out")
		}
		if err := b.Audit("created", wanted); err != nil {
			t.Error(err)
		}
		b.Paired(wanted, seed.Created)
	})
	if audit := read(t, seed.Dir(dir)+"/audit.jsonl"); !strings.Contains(audit, `"name":"agent-1"`) || !strings.Contains(audit, `"via":"gateway"`) {
		t.Errorf("the audit log: %s", audit)
	}
	t.Run("removed meanwhile, it stays removed in the database", func(t *testing.T) {
		err := withSession(t, options(dir), func(session *seed.Session) error {
			results, err := session.Pair(t.Context(), wanted)
			if err == nil && results[0].Outcome != seed.Revoked {
				t.Errorf("got %+v", results[0])
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	})
	t.Run("revoked, it and every key of its name stay out", func(t *testing.T) {
		withBeside(t, dir, func(b *seed.LedgerSession) { b.Revoked(wanted) })
		withBeside(t, dir, func(b *seed.LedgerSession) {
			again := device(t, "agent-1", fresh, false, "operator.read")
			if !b.StaysOut(wanted, true) || !b.StaysOut(again, false) {
				t.Error("it comes back")
			}
			if again.Reseed = true; b.StaysOut(again, false) {
				t.Error("not even reseeding brings it back")
			}
		})
	})
}

func TestALockedDatabaseIsOutOfReachAndAnUnknownOneIsNot(t *testing.T) {
	locked := database(t, gatewayTables(t))
	db := openDatabase(t, locked)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	if _, err := pairSelf(t, options(locked), "operator.read"); !seed.OutOfReach(err) {
		t.Errorf("locked: %v", err)
	}
	unknown := database(t, gatewayTables(t)+"ALTER TABLE device_auth_tokens DROP COLUMN updated_at_ms")
	if _, err := pairSelf(t, options(unknown), "operator.read"); err == nil || seed.OutOfReach(err) {
		t.Errorf("of an unknown schema: %v", err)
	}
	broken := t.TempDir()
	write(t, broken+"/state/openclaw.sqlite", "no database, whatever its name says")
	if _, err := pairSelf(t, options(broken), "operator.read"); err == nil || seed.OutOfReach(err) {
		t.Errorf("broken: %v", err)
	}
}
