package seed_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// options is how the tests open a state directory.
func options(stateDir string) seed.Options {
	return seed.Options{StateDir: stateDir, LockTimeout: 30 * time.Second}
}

// withSession runs do on an open session.
func withSession(t testing.TB, options seed.Options, do func(*seed.Session) error) error {
	t.Helper()
	session, err := seed.Open(context.Background(), options)
	if err != nil {
		return err
	}
	defer func() {
		if err := session.Close(); err != nil {
			t.Error(err)
		}
	}()
	return do(session)
}

// pairSelf is what "bootstrap run" does before the gateway starts.
func pairSelf(t testing.TB, options seed.Options, scopes ...string) (result seed.Result, err error) {
	t.Helper()
	err = withSession(t, options, func(session *seed.Session) error {
		id, _, err := session.Self(context.Background(), identity.Identity{}, identity.Identity{})
		if err != nil {
			return err
		}
		results, err := session.Pair(context.Background(), device(t, "self", id, true, scopes...))
		if err == nil {
			result = results[0]
		}
		return err
	})
	return result, err
}

func device(t testing.TB, name string, id identity.Identity, local bool, scopes ...string) seed.Device {
	t.Helper()
	public, err := identity.ParsePublicKey(id.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	return seed.Device{Name: name, PublicKey: public, Key: id, Scopes: scopes, Local: local}
}

func newIdentity(t testing.TB) identity.Identity {
	t.Helper()
	id, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// pairedFile writes devices/paired.json below a new state directory.
func pairedFile(t testing.TB, content string) (stateDir, path string) {
	t.Helper()
	stateDir = t.TempDir()
	path = filepath.Join(stateDir, "devices", "paired.json")
	write(t, path, content)
	return stateDir, path
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t testing.TB, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// gatewayTables makes the gateway's tables.
func gatewayTables(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../statedb/testdata/gateway.sql")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// database makes the database of a state directory.
func database(t testing.TB, script string) (stateDir string) {
	t.Helper()
	stateDir = t.TempDir()
	if err := os.MkdirAll(filepath.Join(stateDir, "state"), 0o700); err != nil {
		t.Fatal(err)
	}
	db := openDatabase(t, stateDir)
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return stateDir
}

func openDatabase(t testing.TB, stateDir string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", filepath.Join(stateDir, "state", "openclaw.sqlite"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// eachStore runs a test on an empty volume and on one that a gateway migrated.
func eachStore(t *testing.T, test func(t *testing.T, stateDir string)) {
	t.Run("in files", func(t *testing.T) { test(t, t.TempDir()) })
	t.Run("in a database", func(t *testing.T) { test(t, database(t, gatewayTables(t))) })
}

// jsonText is a text as a JSON string.
func jsonText(t testing.TB, text string) string {
	t.Helper()
	data, err := json.Marshal(text)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// wantNoneLost: all of these are in the store already.
func wantNoneLost(t *testing.T, options seed.Options, all ...seed.Device) {
	t.Helper()
	err := withSession(t, options, func(session *seed.Session) error {
		results, err := session.Pair(context.Background(), all...)
		for _, result := range results {
			if result.Outcome != seed.Unchanged {
				t.Errorf("lost: %+v", result)
			}
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
