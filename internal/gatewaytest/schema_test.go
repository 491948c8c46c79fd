package gatewaytest_test

import (
	"cmp"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// rebuilt changes a table's definition as a migration would that builds the
// table anew; the tables are empty.
func rebuilt(table, before, after string) string {
	return `PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, '` + before + `', '` + after +
		`') WHERE name = '` + table + `'; PRAGMA writable_schema = RESET`
}

// The database of a booted 2026.9.6, as releases to come may have it. That gateway
// itself starts on a table more alone: it compares every definition that it knows
// ("SQLite schema is incomplete or noncanonical"), and ends with 78. The same
// alterations and more, without a gateway: schema_test.go in internal/seed.
func TestADatabaseToComeIsServedOrLeftAlone(t *testing.T) {
	t.Parallel()
	gatewaytest.Install(t, sqliteEra)
	for name, c := range map[string]struct {
		alter   string
		refused string // by "bootstrap seed"; empty where it seeds
		ends    string // what the gateway says that does not start; empty where it does
	}{
		"version 19": {alter: "PRAGMA user_version = 19", ends: "newer"},
		"version 30": {alter: "PRAGMA user_version = 30", ends: "newer"},
		"a table":    {alter: "CREATE TABLE device_groups (id TEXT PRIMARY KEY)"},
		"columns that may be left out": {
			alter: `ALTER TABLE device_pairing_paired ADD COLUMN tenant TEXT;
				ALTER TABLE device_auth_tokens ADD COLUMN tenant TEXT;
				ALTER TABLE device_pairing_paired ADD COLUMN rank INTEGER NOT NULL DEFAULT 7`,
			ends: "column definitions differ",
		},
		"a column that must be given": {
			alter:   rebuilt("device_pairing_paired", "remote_ip TEXT,", "remote_ip TEXT, tenant TEXT NOT NULL,"),
			refused: `device_pairing_paired has columns that must be given and are not known: ["tenant"]`,
			ends:    "column definitions differ",
		},
		"a renamed column": {
			alter:   "ALTER TABLE device_auth_tokens RENAME COLUMN scopes_json TO scopes",
			refused: `device_auth_tokens lacks ["scopes_json"]`,
			ends:    "column definitions differ",
		},
		"a trigger": {
			alter:   "CREATE TRIGGER noted AFTER INSERT ON device_pairing_paired BEGIN SELECT 1; END",
			refused: `device_pairing_paired has a trigger, "noted"`,
			ends:    "unexpected trigger",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVolume(t, sqliteEra, gatewaytest.CopyState(t, sqliteEra))
			db := openDatabase(t, databaseOf(v.state))
			must(db.Exec(c.alter))(t)
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if c.refused == "" {
				v.servesToCome(t, c.ends)
			} else {
				v.leavesAlone(t, c.refused, c.ends)
			}
		})
	}
}

// servesToCome seeds, twice, and starts the gateway.
func (v volume) servesToCome(t *testing.T, ends string) {
	v.seed(t, "--client", "agent-1").wantOutcomes(t, "self created", "agent-1 created")
	v.seed(t, "--client", "agent-1")
	before := v.snapshot(t)
	v.seed(t, "--client", "agent-1").wantOutcomes(t, "self unchanged", "agent-1 unchanged")
	wantSame(t, before, v.snapshot(t))
	g := v.run(t, "--handover=supervise", "--client", "agent-1")
	if ends != "" {
		wantUnusable(t, g, ends)
		return
	}
	g.WaitOutput(t, saysProven)
	v.wantLetIn(t, v.self(t), fullScopes)
	v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, "--state-dir", v.bundle("agent-1"))
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
}

// wantUnusable waits for the gateway's end, with a reason of its own.
func wantUnusable(t *testing.T, g *gatewaytest.Gateway, reason string) {
	t.Helper()
	if code := g.Wait(t, patience); code != 78 || !strings.Contains(g.Output(), reason) {
		t.Errorf("it ended with %d, and has not said %q", code, reason)
	}
}

// leavesAlone: nothing is written, not even in part, neither by "seed" nor by a
// supervisor that waits for the gateway in order to pair over loopback. (That it
// then does: TestPairingLaterWorksOnceAndRespectsARemoval.)
func (v volume) leavesAlone(t *testing.T, refused, ends string) {
	before := v.deviceRows(t)
	for _, argv := range [][]string{{"seed", "--client", "agent-1"}, {"seed", "--dry-run"}, {"seed", "revoke", "self"}} {
		result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: argv, Env: v.env()})
		if result.Code != 4 || !strings.Contains(result.Stderr, strings.ReplaceAll(refused, `"`, `\"`)) {
			t.Errorf("bootstrap %v ended with %d\n%s", argv, result.Code, result.Stderr)
		}
	}
	v.wantUntouched(t, before)
	g := v.run(t, "--handover=supervise")
	g.WaitOutput(t, "the database is left alone; pairing over loopback as soon as the gateway answers")
	wantUnusable(t, g, ends)
	v.wantUntouched(t, before)
}

func (v volume) wantUntouched(t *testing.T, before []string) {
	t.Helper()
	if after := v.deviceRows(t); !reflect.DeepEqual(before, after) {
		t.Errorf("the rows were %v and are %v", before, after)
	}
	for _, name := range []string{"ledger.json", "audit.jsonl"} {
		if _, err := os.Lstat(filepath.Join(v.state, "bootstrap", name)); err == nil {
			t.Errorf("there is bootstrap/%s", name)
		}
	}
}

// deviceRows is every row of the tables that bootstrap writes.
func (v volume) deviceRows(t *testing.T) []string {
	t.Helper()
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	var out []string
	for _, table := range []string{"device_pairing_paired", "device_auth_tokens", "device_identities"} {
		key := map[string]string{"device_identities": "identity_key"}[table]
		rows := must(db.rows(table, cmp.Or(key, "device_id")))(t)
		for _, id := range slices.Sorted(maps.Keys(rows)) {
			out = append(out, table+" "+string(rows[id]))
		}
	}
	return out
}
