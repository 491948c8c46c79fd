package statedb

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"testing"
)

// gatewayTables has the columns of 2026.8.1 to 2026.9.6, as far as this package
// reads them. That a real gateway agrees is shown by the tests against real ones.
const gatewayTables = `
CREATE TABLE device_identities (
  identity_key TEXT NOT NULL PRIMARY KEY, device_id TEXT NOT NULL, public_key_pem TEXT NOT NULL,
  private_key_pem TEXT NOT NULL, created_at_ms INTEGER NOT NULL, updated_at_ms INTEGER NOT NULL) STRICT;
CREATE TABLE state_leases (
  scope TEXT NOT NULL, lease_key TEXT NOT NULL, owner TEXT NOT NULL, expires_at INTEGER, heartbeat_at INTEGER,
  payload_json TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, PRIMARY KEY (scope, lease_key)) STRICT;
CREATE TABLE schema_meta (
  meta_key TEXT NOT NULL PRIMARY KEY, role TEXT NOT NULL, schema_version INTEGER NOT NULL, agent_id TEXT,
  app_version TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL) STRICT;
INSERT INTO schema_meta VALUES ('primary', 'global', 18, NULL, '2026.9.6', 1795369680111, 1795369680111);
PRAGMA user_version = 18;
PRAGMA journal_mode = wal;`

// database makes the database of a new state folder, as a gateway would.
func database(t testing.TB, statements ...string) (stateDir string) {
	t.Helper()
	stateDir = t.TempDir()
	if err := os.Mkdir(filepath.Dir(Path(stateDir)), 0o700); err != nil {
		t.Fatal(err)
	}
	change(t, stateDir, statements...)
	return stateDir
}

// change runs statements as a gateway that shares the database.
func change(t testing.TB, stateDir string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", Path(stateDir))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range statements {
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func mustOpen(t testing.TB, stateDir string) *DB {
	t.Helper()
	db, err := Open(context.Background(), stateDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}
