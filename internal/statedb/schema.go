package statedb

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// Form is what a table has to be like to be written to.
type Form struct {
	Table string
	// Columns are those that are read and written; Key is the primary key, empty
	// for a table that is only read, and need not be there.
	Columns, Key []string
}

// ReadForms are those of the tables that are only read: the owner lease, and when
// the database was made.
func ReadForms() []Form {
	return []Form{
		{Table: "state_leases", Columns: []string{"scope", "lease_key", "expires_at", "payload_json"}},
		{Table: "schema_meta", Columns: []string{"meta_key", "created_at"}},
	}
}

// IdentityForm is that of the table with the state directory's own device.
func IdentityForm() Form {
	return Form{
		Table:   "device_identities",
		Columns: []string{"identity_key", "device_id", "public_key_pem", "private_key_pem", "created_at_ms", "updated_at_ms"},
		Key:     []string{"identity_key"},
	}
}

// column is one column of a table, as PRAGMA table_xinfo tells it.
type column struct {
	name string
	// mustBeGiven: NOT NULL without a default, so that an INSERT has to name it.
	mustBeGiven bool
	// computed: a generated column, which cannot be written.
	computed bool
	// key is its place in the primary key from 1 on; 0 is none.
	key int
}

// Misfit says of the first table that differs from its form, in their order, which one it is
// and how it differs, in a few words after its name; empty where an INSERT that names a
// form's columns does just that. A column more that may be left out is no misfit. A trigger
// is one, whatever it does: it would write more than we know.
func (db *DB) Misfit(ctx context.Context, forms ...Form) (table, how string, err error) {
	found, err := db.tables(ctx, forms)
	if err != nil {
		return "", "", err
	}
	for _, form := range forms {
		if how := found[form.Table].misfit(form); how != "" {
			return form.Table, how, nil
		}
	}
	return "", "", nil
}

// table is what the schema says of one.
type table struct {
	isThere, isNotPlain bool
	trigger             string
	columns             []column
}

// tables are those of the forms. A virtual table's columns are not asked for: its code
// would run. Generated columns are among them. SQLite takes a row of the type "TRIGGER" for a
// trigger, too. "temp" is there since a table of the function's name would take its place.
func (db *DB) tables(ctx context.Context, forms []Form) (map[string]*table, error) {
	found := map[string]*table{}
	var names []any
	for _, form := range forms {
		found[form.Table] = &table{}
		names = append(names, form.Table)
	}
	query := Query{Table: "the schema", Args: names, SQL: `SELECT
		m.kind, m.name, m.tbl_name, m.plain, coalesce(x.name, ''), coalesce(x."notnull" = 1 AND x.dflt_value IS NULL, 0),
		coalesce(x.hidden <> 0, 0), coalesce(x.pk, 0)
		FROM (SELECT lower(type) AS kind, name, tbl_name, coalesce(type = 'table' AND upper(substr(sql, 1, 12)) = 'CREATE TABLE', 0) AS plain FROM sqlite_schema
			WHERE kind = 'trigger' OR kind IN ('table', 'view') AND name IN (?` + strings.Repeat(", ?", len(names)-1) + `)) m
		LEFT JOIN temp.pragma_table_xinfo(CASE WHEN m.plain THEN m.name END) x`}
	err := db.Each(ctx, query, func(scan Scan) error {
		var kind, name, of string
		var plain bool
		var c column
		if err := scan(&kind, &name, &of, &plain, &c.name, &c.mustBeGiven, &c.computed, &c.key); err != nil {
			return err
		}
		if kind == "trigger" {
			for wanted, t := range found {
				if strings.EqualFold(of, wanted) {
					t.trigger = max(t.trigger, name)
				}
			}
			return nil
		}
		t := found[name]
		t.isThere, t.isNotPlain = true, t.isNotPlain || !plain
		t.columns = append(t.columns, c)
		return nil
	})
	return found, err
}

func (t *table) misfit(form Form) string {
	switch {
	case !t.isThere && len(form.Key) == 0:
		return ""
	case !t.isThere:
		return "is not there"
	case t.isNotPlain:
		return "is no plain table"
	case t.trigger != "" && len(form.Key) > 0:
		return fmt.Sprintf("has a trigger, %.80q", t.trigger)
	}
	return misfit(form, t.columns)
}

func misfit(form Form, columns []column) string {
	var strange []string
	key := make([]string, len(columns)+1)
	left := slices.Clone(form.Columns)
	for _, c := range columns {
		at := slices.Index(left, c.name)
		switch {
		case at >= 0 && !c.computed:
			left = slices.Delete(left, at, at+1)
		case at < 0 && c.mustBeGiven && !c.computed:
			strange = append(strange, c.name)
		}
		key[c.key] = c.name
	}
	switch {
	case len(left) > 0:
		return fmt.Sprintf("lacks %.200q", left)
	case len(form.Key) == 0:
		return ""
	case len(strange) > 0:
		return fmt.Sprintf("has columns that must be given and are not known: %.200q", strange)
	case !slices.Equal(slices.DeleteFunc(key[1:], func(name string) bool { return name == "" }), form.Key):
		return "has another primary key"
	}
	return ""
}

// hasTable tells whether a table exists: a real one, no view and no virtual one.
func (db *DB) hasTable(ctx context.Context, table string) (bool, error) {
	return db.Row(ctx, Query{
		Table: "the schema", Args: []any{table},
		SQL: `SELECT 1 FROM sqlite_master WHERE type = 'table' AND rootpage > 0 AND name = ?`,
	}, new(int))
}

// CreatedAtMs is when the gateway made this database, by its own record, in
// Unix milliseconds; 0 where it left none.
func (db *DB) CreatedAtMs(ctx context.Context) (int64, error) {
	if has, err := db.hasTable(ctx, "schema_meta"); !has {
		return 0, err
	}
	var created int64
	_, err := db.Row(ctx, Query{
		Table: "schema_meta",
		SQL:   `SELECT coalesce(max(created_at), 0) FROM schema_meta WHERE meta_key = 'primary'`,
	}, &created)
	return created, err
}
