package statedb

import (
	"context"
)

// Column is one column of a table, as PRAGMA table_info tells it.
type Column struct {
	Name string
	// MustBeGiven: NOT NULL without a default, so that an INSERT has to name it.
	MustBeGiven bool
}

// Columns lists a table's columns; none where the table does not exist.
func (db *DB) Columns(ctx context.Context, table string) ([]Column, error) {
	rows, err := db.conn.QueryContext(ctx,
		`SELECT name, "notnull" = 1 AND dflt_value IS NULL FROM pragma_table_info(?)`, table)
	if err != nil {
		return nil, db.Wrap("cannot read the schema", err)
	}
	defer func() { _ = rows.Close() }()
	var columns []Column
	for rows.Next() {
		var column Column
		if err := rows.Scan(&column.Name, &column.MustBeGiven); err != nil {
			return nil, db.Wrap("cannot read the schema", err)
		}
		columns = append(columns, column)
	}
	return columns, db.Wrap("cannot read the schema", rows.Err())
}

// hasTable tells whether a table exists.
func (db *DB) hasTable(ctx context.Context, table string) (bool, error) {
	var n int
	err := db.conn.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = ?`, table).Scan(&n)
	return n > 0, db.Wrap("cannot read the schema", err)
}

// CreatedAtMs is when the gateway made this database, by its own record, in
// Unix milliseconds; 0 where it left none.
func (db *DB) CreatedAtMs(ctx context.Context) (int64, error) {
	if has, err := db.hasTable(ctx, "schema_meta"); !has {
		return 0, err
	}
	var created int64
	err := db.conn.QueryRowContext(ctx,
		`SELECT coalesce(max(created_at), 0) FROM schema_meta WHERE meta_key = 'primary'`).Scan(&created)
	return created, db.Wrap("cannot read schema_meta", err)
}
