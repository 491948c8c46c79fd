package seed_test

import (
	"path/filepath"
	"testing"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// pairTogether pairs the directory's own device and clients, as each start does.
func pairTogether(t *testing.T, dir string, clients ...seed.Device) (results []seed.Result) {
	t.Helper()
	err := withSession(t, options(dir), func(session *seed.Session) error {
		id, _, err := session.Self(t.Context(), identity.Identity{}, identity.Identity{})
		if err != nil {
			return err
		}
		results, err = session.Pair(t.Context(), append([]seed.Device{device(t, seed.SelfName, id, true, "operator.admin")}, clients...)...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return results
}

// removedWithTheToken is a removal after which the CLI beside the gateway has dropped its
// own token too, as that of 2026.9.6 does where a gateway calls it a wrong one.
func removedWithTheToken(t *testing.T, dir string, ids ...string) {
	t.Helper()
	db := openDatabase(t, dir)
	for _, id := range ids {
		if _, err := db.Exec("DELETE FROM device_pairing_paired WHERE device_id = ?", id); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.Exec("DELETE FROM device_auth_tokens"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestARemovalHoldsThoughTheLocalTokenIsGone(t *testing.T) {
	for gone, which := range map[string]int{"of the directory's own device": 0, "of a client": 1} {
		t.Run(gone, func(t *testing.T) {
			dir := database(t, gatewayTables(t))
			client := device(t, "agent-1", newIdentity(t), false, "operator.read")
			pairTogether(t, dir, client)
			before := pairTogether(t, dir, client)
			removedWithTheToken(t, dir, before[which].DeviceID)
			for start := range 2 {
				after := pairTogether(t, dir, client)
				if after[which].Outcome != seed.Revoked || after[1-which].Outcome != seed.Unchanged {
					t.Errorf("start %d: %+v", start, after)
				}
			}
		})
	}
}

// Then there is no local token that could be missed.
func TestARemovalHoldsWhereTheDirectorysOwnDeviceWasRevoked(t *testing.T) {
	dir := database(t, gatewayTables(t))
	client := device(t, "agent-1", newIdentity(t), false, "operator.read")
	pairTogether(t, dir, client)
	err := withSession(t, options(dir), func(session *seed.Session) error {
		_, err := session.Revoke(t.Context(), seed.SelfName)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	removedWithTheToken(t, dir)
	if results := pairTogether(t, dir, client); results[0].Outcome != seed.Revoked || results[1].Outcome != seed.Unchanged {
		t.Fatalf("before the removal: %+v", results)
	}
	removedWithTheToken(t, dir, client.ID())
	for start := range 2 {
		if results := pairTogether(t, dir, client); results[1].Outcome != seed.Revoked {
			t.Errorf("start %d: %+v", start, results)
		}
	}
}

func TestADatabaseFromBeforeTheSeedingIsSeededAgainWithEveryClient(t *testing.T) {
	dir := database(t, gatewayTables(t))
	path := filepath.Join(dir, "state", "openclaw.sqlite")
	backup := read(t, path)
	client := device(t, "agent-1", newIdentity(t), false, "operator.read")
	for range 2 {
		pairTogether(t, dir, client)
	}
	write(t, path, backup) // in place: the file's inode and birth stay the same
	for _, result := range pairTogether(t, dir, client) {
		if result.Outcome != seed.Created || !result.Again && result.Name != seed.SelfName {
			t.Errorf("got %+v", result)
		}
	}
}
