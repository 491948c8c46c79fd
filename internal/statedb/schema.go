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

// Misfit says how a table differs from the form, in a few words after its name;
// empty where an INSERT that names the form's columns does just that. A column
// more that may be left out is no misfit. A trigger is one, whatever it does: it
// would write more than we know.
func (db *DB) Misfit(ctx context.Context, form Form) (string, error) {
	var kind, definition, trigger string
	_, err := db.Row(ctx, Query{Table: "the schema", SQL: `SELECT
		coalesce(max(CASE WHEN type IN ('table', 'view') AND name = ?1 THEN type END), ''),
		coalesce(max(CASE WHEN type = 'table' AND name = ?1 THEN sql END), ''),
		coalesce(max(CASE WHEN type = 'trigger' AND tbl_name = ?1 COLLATE NOCASE THEN name END), '')
		FROM sqlite_schema`, Args: []any{form.Table}}, &kind, &definition, &trigger)
	if err != nil {
		return "", err
	}
	switch {
	case kind == "" && len(form.Key) == 0:
		return "", nil
	case kind == "":
		return "is not there", nil
	case kind != "table" || !isPlainTable(definition):
		return "is no plain table", nil
	case trigger != "" && len(form.Key) > 0:
		return fmt.Sprintf("has a trigger, %.80q", trigger), nil
	}
	columns, err := db.columns(ctx, form.Table)
	if err != nil {
		return "", err
	}
	return misfit(form, columns), nil
}

// isPlainTable is false for a virtual table, whose code runs when it is written.
func isPlainTable(definition string) bool {
	return strings.HasPrefix(strings.ToUpper(definition), "CREATE TABLE")
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

// columns lists a table's columns, generated ones too.
func (db *DB) columns(ctx context.Context, table string) (columns []column, err error) {
	query := Query{
		Table: "the schema", Args: []any{table},
		SQL: `SELECT name, "notnull" = 1 AND dflt_value IS NULL, hidden <> 0, pk FROM pragma_table_xinfo(?)`,
	}
	err = db.Each(ctx, query, func(scan Scan) error {
		var c column
		err := scan(&c.name, &c.mustBeGiven, &c.computed, &c.key)
		columns = append(columns, c)
		return err
	})
	return columns, err
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
