package statedb

import (
	"context"
	"database/sql"
	_ "embed"
	"os"
	"path/filepath"
	"testing"
)

// gatewayTables are the gateway's; other rooms' tests read the file, too.
//
//go:embed testdata/gateway.sql
var gatewayTables string

// database makes the database of a new state directory, as a gateway would.
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
