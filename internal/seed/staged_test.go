package seed_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// staging is how "bootstrap run" opens the state directory of a release with a
// database: 2026.9.5 reads no pairing files, and complains about them.
func staging(dir string) seed.Options {
	o := options(dir)
	o.Era, o.Stage, o.Withdraw = gateway.EraSQLite, true, true
	return o
}

// firstBoot makes the database as a gateway that imports no pairings does.
func firstBoot(t *testing.T, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(dir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	db := openDatabase(t, dir)
	if _, err := db.Exec(gatewayTables(t)); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsStagedIsPairedInTheDatabase(t *testing.T) {
	dir := t.TempDir()
	staged, err := pairSelf(t, staging(dir), "operator.read")
	if err != nil || staged.Outcome != seed.Created || staged.Token == "" {
		t.Fatalf("staging: %+v, %v", staged, err)
	}
	for _, name := range []string{"devices", "identity/device-auth.json"} {
		if exists(filepath.Join(dir, name)) {
			t.Errorf("%s is there, which no such release has a use for", name)
		}
	}
	again, err := pairSelf(t, staging(dir), "operator.read")
	if err != nil || again.Outcome != seed.Unchanged || again.Token != staged.Token {
		t.Errorf("a second start before the database is there: %+v, %v", again, err)
	}
	firstBoot(t, dir)
	paired, err := pairSelf(t, staging(dir), "operator.read")
	if err != nil || paired.Outcome != seed.Created || paired.Again || paired.Token != staged.Token {
		t.Errorf("in the database: %+v, %v", paired, err)
	}
	if exists(filepath.Join(dir, "bootstrap", "staged.json")) {
		t.Error("the staged entry is still there")
	}
}

func TestStagingAVolumeWithFiles(t *testing.T) {
	t.Run("of our own devices withdraws them, and what was removed stays removed", func(t *testing.T) {
		dir := t.TempDir()
		_, before := pairClients(t, dir, "keeper", "leaver")
		path := filepath.Join(dir, "devices", "paired.json")
		remove(t, dir) // as a gateway does: all of them
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		if err := withSession(t, staging(dir), func(*seed.Session) error { return nil }); err != nil {
			t.Fatal(err)
		}
		if exists(path) {
			t.Error("the file is still there")
		}
		firstBoot(t, dir)
		_, after := pairClients(t, dir, "keeper", "leaver")
		for i, result := range after {
			if result.Outcome != seed.Revoked {
				t.Errorf("%s came back: %+v (before: %+v)", result.Name, result, before[i])
			}
		}
	})
	t.Run("with somebody else's device leaves them alone", func(t *testing.T) {
		dir, path := pairedFile(t, `{"somebody": {"deviceId": "somebody"}}`)
		result, err := pairSelf(t, staging(dir), "operator.read")
		if err != nil || result.Outcome != seed.Created {
			t.Errorf("%+v, %v", result, err)
		}
		if !exists(path) || exists(filepath.Join(dir, "bootstrap", "staged.json")) {
			t.Error("the files were withdrawn")
		}
	})
}

// The gateway makes the key of an empty volume, unless one is there or given.
func TestTheGatewaysOwnKeyIsAdopted(t *testing.T) {
	given, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		imported, known identity.Identity
		want            bool
	}{"nothing": {}, "given": {imported: given, want: true}, "known": {known: given, want: true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			id, _ := adopt(t, dir, test.imported, test.known)
			if id.IsZero() == test.want || test.want && !id.Equal(given) {
				t.Errorf("the device is %v", id)
			}
			if there := exists(filepath.Join(dir, "identity")); there != test.want {
				t.Errorf("a directory for its key: %v", there)
			}
		})
	}
}

// A gateway that has a database and no key gets one.
func TestAKeyIsMadeWhereTheGatewayMadeNone(t *testing.T) {
	dir := t.TempDir()
	if id, _ := adopt(t, dir, identity.Identity{}, identity.Identity{}); !id.IsZero() {
		t.Fatalf("before there is a database: %v", id)
	}
	firstBoot(t, dir)
	if id, created := adopt(t, dir, identity.Identity{}, identity.Identity{}); id.IsZero() || !created {
		t.Errorf("%v, created %v", id, created)
	}
}

// adopt opens an empty volume as "bootstrap run" does, with nobody else to pair.
func adopt(t *testing.T, dir string, imported, known identity.Identity) (id identity.Identity, created bool) {
	t.Helper()
	o := staging(dir)
	o.Adopt = true
	err := withSession(t, o, func(s *seed.Session) (err error) {
		if id, created, err = s.Self(t.Context(), imported, known); err != nil {
			return err
		}
		_, err = s.Pair(t.Context())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return id, created
}

// A bundle as the state directory of a CLI of 2026.9.5, which reads no pairing files: its
// token is where it is for every release.
func TestABundlesTokenIsReadOnEveryRelease(t *testing.T) {
	dir := t.TempDir()
	self := newIdentity(t)
	if err := withSession(t, options(dir), func(session *seed.Session) error {
		if _, _, err := session.Self(t.Context(), self, identity.Identity{}); err != nil {
			return err
		}
		return session.KeepCredentials(t.Context(), seed.Credentials{Identity: self, Token: "a-token", Scopes: []string{"operator.read"}})
	}); err != nil {
		t.Fatal(err)
	}
	o := options(dir)
	o.Era, o.Stage = gateway.EraSQLite, true
	if got, err := seed.ReadCredentials(t.Context(), o); err != nil || got.Token != "a-token" || !got.Identity.Equal(self) {
		t.Errorf("got %q, %v", got.Token, err)
	}
}
