package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Query is a statement about one table, which its errors name.
type Query struct {
	Table, SQL string
	Args       []any
}

// Scan reads the columns of a row into variables.
type Scan func(into ...any) error

// Row reads one row into variables; false where there is none.
func (db *DB) Row(ctx context.Context, query Query, into ...any) (found bool, err error) {
	ctx, cancel := within(ctx)
	defer cancel()
	err = db.conn.QueryRowContext(ctx, query.SQL, query.Args...).Scan(into...)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, db.wrap("cannot read "+query.Table, err)
}

// Each calls read for each row. What read returns ends it, and is returned as it is.
func (db *DB) Each(ctx context.Context, query Query, read func(Scan) error) error {
	ctx, cancel := within(ctx)
	defer cancel()
	return db.each(ctx, db.conn, query, read)
}

// querier is a connection or a transaction on it.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func (db *DB) each(ctx context.Context, from querier, query Query, read func(Scan) error) error {
	doing := "cannot read " + query.Table
	rows, err := from.QueryContext(ctx, query.SQL, query.Args...)
	if err != nil {
		return db.wrap(doing, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := read(func(into ...any) error { return db.wrap(doing, rows.Scan(into...)) }); err != nil {
			return err
		}
	}
	return db.wrap(doing, rows.Err())
}

// Tx is a transaction that writes.
type Tx struct {
	db *DB
	tx *sql.Tx
}

// Change calls work in one short BEGIN IMMEDIATE transaction, and commits it unless work
// fails. A running gateway waits for it (it has a busy timeout of 5 s).
func (db *DB) Change(ctx context.Context, work func(context.Context, Tx) error) error {
	ctx, cancel := within(ctx)
	defer cancel()
	if err := db.writable(ctx); err != nil {
		return err
	}
	tx, err := db.conn.BeginTx(ctx, nil)
	if err != nil {
		return db.wrap("cannot begin to write", err)
	}
	defer func() { _ = tx.Rollback() }()
	if err := work(ctx, Tx{db: db, tx: tx}); err != nil {
		return err
	}
	return db.wrap("cannot commit", tx.Commit())
}

// Each is [DB.Each] within the transaction.
func (t Tx) Each(ctx context.Context, query Query, read func(Scan) error) error {
	return t.db.each(ctx, t.tx, query, read)
}

// Write executes a statement, and returns how many rows it changed.
func (t Tx) Write(ctx context.Context, query Query) (rows int64, err error) {
	result, err := t.tx.ExecContext(ctx, query.SQL, query.Args...)
	if err == nil {
		rows, err = result.RowsAffected()
	}
	return rows, t.db.wrap("cannot write "+query.Table, err)
}

// wrap gives an error of this database its path. A nil error stays nil.
func (db *DB) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return &Error{Path: db.path, Err: fmt.Errorf("%s: %w", doing, err)}
}
