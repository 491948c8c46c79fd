package seed_test

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// rewrite changes a table's definition as a migration would, which builds the
// table anew: ALTER TABLE has no word for it.
func rewrite(table, before, after string) string {
	return `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '` + before + `', '` + after +
		`') WHERE name = '` + table + `'; PRAGMA writable_schema = RESET`
}

// A trigger may come after the look at the schema.
func TestWhatTheDatabaseDidNotDoIsNoSuccess(t *testing.T) {
	for name, c := range map[string]struct {
		event string
		do    func(*seed.Session, seed.Device) error
	}{
		"revoking": {"DELETE", func(s *seed.Session, _ seed.Device) error { _, err := s.Revoke(t.Context(), "agent-1"); return err }},
		"pairing": {"INSERT", func(s *seed.Session, _ seed.Device) error {
			_, err := s.Pair(t.Context(), device(t, "agent-2", newIdentity(t), false, "operator.read"))
			return err
		}},
		"granting more": {"UPDATE", func(s *seed.Session, paired seed.Device) error {
			paired.Scopes = []string{"operator.write"}
			_, err := s.Pair(t.Context(), paired)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := database(t, gatewayTables(t))
			devices, _ := pairClients(t, dir, "agent-1")
			err := withSession(t, options(dir), func(s *seed.Session) error {
				_, err := openDatabase(t, dir).Exec("CREATE TRIGGER more BEFORE " + c.event + " ON device_pairing_paired BEGIN SELECT raise(IGNORE); END")
				if err != nil {
					t.Fatal(err)
				}
				return c.do(s, devices[0])
			})
			if !errors.As(err, new(*seed.StoreError)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Databases of gateways to come: they are served whole, or not touched.
func TestASchemaToComeIsServed(t *testing.T) {
	for name, alter := range map[string]string{
		"a higher version":               "PRAGMA user_version = 19",
		"a much higher version":          "PRAGMA user_version = 30",
		"columns that may be empty":      "ALTER TABLE device_pairing_paired ADD COLUMN tenant TEXT; ALTER TABLE device_auth_tokens ADD COLUMN tenant TEXT; ALTER TABLE device_identities ADD COLUMN tenant TEXT",
		"a column with a default":        "ALTER TABLE device_pairing_paired ADD COLUMN rank INTEGER NOT NULL DEFAULT 7; ALTER TABLE device_auth_tokens ADD COLUMN rank INTEGER NOT NULL DEFAULT 7",
		"a computed column":              "ALTER TABLE device_pairing_paired ADD COLUMN short TEXT NOT NULL AS (substr(device_id, 1, 8))",
		"tables and indexes":             "CREATE TABLE device_groups (id TEXT PRIMARY KEY); CREATE INDEX by_client ON device_pairing_paired(client_id)",
		"no lease and no birth":          "DROP TABLE state_leases; DROP TABLE schema_meta",
		"a function's name for a table":  "CREATE TABLE json_each (a); CREATE TABLE pragma_table_xinfo (name, hidden)",
		"a function's name for a view":   "CREATE VIEW json_each AS SELECT 1 AS value; CREATE VIEW pragma_table_xinfo AS SELECT 1 AS name",
		"a trigger on another table":     "CREATE TRIGGER elsewhere AFTER INSERT ON state_leases BEGIN DELETE FROM device_pairing_paired; END",
		"a column of another is renamed": "ALTER TABLE device_pairing_paired RENAME COLUMN remote_ip TO remote_address",
	} {
		t.Run(name, func(t *testing.T) {
			dir := database(t, gatewayTables(t)+alter)
			first, err := pairSelf(t, options(dir), "operator.read")
			if err != nil || first.Outcome != seed.Created {
				t.Fatalf("first run: %+v, %v", first, err)
			}
			kept, err := seed.ReadCredentials(t.Context(), options(dir))
			if err != nil || kept.Token != first.Token || kept.Identity.DeviceID() != first.DeviceID {
				t.Errorf("kept for the CLI: %+v, %v", kept.Scopes, err)
			}
			before := snapshot(t, dir)
			again, err := pairSelf(t, options(dir), "operator.read")
			if err != nil || again.Outcome != seed.Unchanged || again.Token != first.Token {
				t.Errorf("second run: %+v, %v", again, err)
			}
			for path, content := range snapshot(t, dir) {
				if before[path] != content {
					t.Errorf("the second run changed %s", filepath.Base(path))
				}
			}
		})
	}
}

func TestASchemaThatIsNotKnownIsRefusedByNameAndLeftAlone(t *testing.T) {
	for name, c := range map[string]struct{ alter, want string }{
		"a column of ours is gone":          {"ALTER TABLE device_pairing_paired DROP COLUMN tokens_json", `device_pairing_paired lacks ["tokens_json"]`},
		"a column of ours is renamed":       {"ALTER TABLE device_pairing_paired RENAME COLUMN tokens_json TO tokens", `device_pairing_paired lacks ["tokens_json"]`},
		"a column of the tokens is renamed": {"ALTER TABLE device_auth_tokens RENAME COLUMN scopes_json TO scopes", `device_auth_tokens lacks ["scopes_json"]`},
		"a column of the key is renamed":    {"ALTER TABLE device_identities RENAME COLUMN updated_at_ms TO changed_at_ms", `device_identities lacks ["updated_at_ms"]`},
		"a column wants a value":            {rewrite("device_pairing_paired", "remote_ip TEXT,", "remote_ip TEXT, tenant TEXT NOT NULL,"), `must be given and are not known: ["tenant"]`},
		"a column of the tokens wants one":  {rewrite("device_auth_tokens", "token TEXT NOT NULL,", "token TEXT NOT NULL, issuer TEXT NOT NULL,"), `must be given and are not known: ["issuer"]`},
		"a column of the key wants one":     {rewrite("device_identities", "device_id TEXT NOT NULL,", "device_id TEXT NOT NULL, curve TEXT NOT NULL,"), `must be given and are not known: ["curve"]`},
		"a column of ours is computed":      {"ALTER TABLE device_pairing_paired DROP COLUMN client_id; ALTER TABLE device_pairing_paired ADD COLUMN client_id TEXT AS (device_id)", `lacks ["client_id"]`},
		"the key has more parts":            {rewrite("device_auth_tokens", "PRIMARY KEY (device_id, role)", "PRIMARY KEY (device_id, role, token)"), "device_auth_tokens has another primary key"},
		"the table is not there":            {"ALTER TABLE device_pairing_paired RENAME TO device_pairing_moved", "table device_pairing_paired is not there"},
		"the tokens' table is not there":    {"DROP TABLE device_auth_tokens", "table device_auth_tokens is not there"},
		"a view in the table's place":       {"ALTER TABLE device_pairing_paired RENAME TO moved; CREATE VIEW device_pairing_paired AS SELECT * FROM moved", "device_pairing_paired is no plain table"},
		"the lease has no such column":      {"ALTER TABLE state_leases RENAME COLUMN payload_json TO payload", `state_leases lacks ["payload_json"]`},
		"the birth has no such column":      {"ALTER TABLE schema_meta RENAME COLUMN created_at TO created_at_ms", `schema_meta lacks ["created_at"]`},
		"a trigger on the pairings":         {"CREATE TRIGGER more AFTER INSERT ON device_pairing_paired BEGIN DELETE FROM device_auth_tokens; END", `device_pairing_paired has a trigger, "more"`},
		"a trigger on the tokens":           {"CREATE TRIGGER more BEFORE UPDATE ON device_auth_tokens BEGIN SELECT raise(ABORT, 'no'); END", `device_auth_tokens has a trigger, "more"`},
		"a trigger in capital letters": {`CREATE TRIGGER more BEFORE DELETE ON device_pairing_paired BEGIN SELECT raise(IGNORE); END;
			PRAGMA writable_schema = ON; UPDATE sqlite_schema SET type = 'TRIGGER' WHERE name = 'more'; PRAGMA writable_schema = RESET`, `device_pairing_paired has a trigger, "more"`},
		"a trigger on the key": {"CREATE TRIGGER more AFTER INSERT ON device_identities BEGIN DELETE FROM device_auth_tokens; END", `device_identities has a trigger, "more"`},
	} {
		t.Run(name, func(t *testing.T) {
			dir := database(t, gatewayTables(t)+c.alter)
			before := snapshot(t, dir)
			_, err := pairSelf(t, options(dir), "operator.read")
			if !errors.As(err, new(*seed.StoreError)) || !errors.As(err, new(*seed.SchemaError)) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			after := snapshot(t, dir)
			for path, content := range before {
				if after[path] != content {
					t.Errorf("%s changed", path)
				}
			}
			wantNothingOfOurs(t, dir)
		})
	}
}

// wantNothingOfOurs: not a line in the audit log, no ledger, no key, no bundle.
func wantNothingOfOurs(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && !slices.Contains([]string{"openclaw.sqlite", "lock"}, d.Name()) {
			t.Errorf("there is %s", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
