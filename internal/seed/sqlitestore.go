package seed

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// sqliteStore is the table device_pairing_paired of a database that a gateway
// made. A foreign commit is seen at the gateway's next connect (2026.8.2,
// 2026.9.6), so that a running gateway needs no restart.
type sqliteStore struct {
	db *statedb.DB
	// files holds what a first boot has not imported yet.
	files *jsonStore
}

// column says which member of an entry a column holds, and how.
type column struct {
	name, member string
	encoding     encoding
}

type encoding int

const (
	plainText encoding = iota
	jsonText
	integer
)

// pairedColumns are the columns that are read and written; all others keep
// what they hold.
func pairedColumns() []column {
	return []column{
		{"device_id", "deviceId", plainText},
		{"public_key", "publicKey", plainText},
		{"display_name", "displayName", plainText},
		{"client_id", "clientId", plainText},
		{"client_mode", "clientMode", plainText},
		{"role", "role", plainText},
		{"roles_json", "roles", jsonText},
		{"scopes_json", "scopes", jsonText},
		{"approved_scopes_json", "approvedScopes", jsonText},
		{"tokens_json", "tokens", jsonText},
		{"approved_via", "approvedVia", plainText},
		{"created_at_ms", "createdAtMs", integer},
		{"approved_at_ms", "approvedAtMs", integer},
	}
}

func (s *sqliteStore) kind() Kind   { return SQLite }
func (s *sqliteStore) path() string { return s.db.Path() }
func (s *sqliteStore) close() error { return s.db.Close() }

func (s *sqliteStore) identityPath() string { return s.path() + " (device_identities)" }

func (s *sqliteStore) why() string {
	return fmt.Sprintf("a gateway has made the database, of version %d", s.db.Version())
}

// checkSchema refuses a table that lacks a column of ours, or that wants one
// we do not know.
func (s *sqliteStore) checkSchema(ctx context.Context) error {
	for _, table := range []string{"device_identities", "device_auth_tokens"} {
		columns, err := s.db.Columns(ctx, table)
		if err != nil {
			return s.fail(err)
		}
		if len(columns) == 0 {
			return unknownSchema(s.path(), fmt.Sprintf("there is no table %s (schema version %d)", table, s.db.Version()))
		}
	}
	columns, err := s.db.Columns(ctx, "device_pairing_paired")
	if err != nil {
		return s.fail(err)
	}
	var absent, strange []string
	for _, known := range pairedColumns() {
		if !slices.ContainsFunc(columns, func(c statedb.Column) bool { return c.Name == known.name }) {
			absent = append(absent, known.name)
		}
	}
	for _, c := range columns {
		if c.MustBeGiven && !slices.ContainsFunc(pairedColumns(), func(known column) bool { return known.name == c.Name }) {
			strange = append(strange, c.Name)
		}
	}
	if len(absent)+len(strange) > 0 {
		what := fmt.Sprintf("lacks %v", absent)
		if len(absent) == 0 {
			what = fmt.Sprintf("has columns that must be given and are not known: %v", strange)
		}
		return unknownSchema(s.path(), fmt.Sprintf("table device_pairing_paired %s (schema version %d)", what, s.db.Version()))
	}
	return nil
}

// mark is the database's own record of its making, and the file's birth: a
// backup that is put back is another store than the one that was seeded. Where
// even the file is the same, the local token tells: a database from before the
// seeding has none (a device that is removed leaves its own there, 2026.9.6).
func (s *sqliteStore) mark(ctx context.Context) (string, error) {
	var seeded bool
	err := s.db.Conn().QueryRowContext(ctx,
		`SELECT EXISTS (SELECT 1 FROM device_auth_tokens JOIN device_identities USING (device_id)
		 WHERE identity_key = 'primary' AND role = ?)`, roleOperator).Scan(&seeded)
	if err != nil {
		return "", s.fail(s.db.Wrap("cannot read device_auth_tokens", err))
	}
	if !seeded {
		return "", nil
	}
	created, err := s.db.CreatedAtMs(ctx)
	if err != nil {
		return "", s.fail(err)
	}
	born, err := birth(s.path())
	return fmt.Sprintf("%d/%s", created, born), err
}

// identity is the primary row, else the file: a first boot may be about to
// import it.
func (s *sqliteStore) identity(ctx context.Context) (identity.Identity, error) {
	id, err := s.db.PrimaryIdentity(ctx)
	if err != nil || !id.IsZero() {
		return id, err
	}
	return s.files.identity(ctx)
}

// keepIdentity makes the row, never a file: to a gateway that has migrated, a
// file beside the row is a leftover to complain about.
func (s *sqliteStore) keepIdentity(ctx context.Context, id identity.Identity) (identity.Identity, error) {
	kept, err := s.db.PrimaryIdentity(ctx)
	if err != nil || !kept.IsZero() {
		return kept, err
	}
	if err := s.db.StorePrimaryIdentity(ctx, id); err != nil {
		return identity.Identity{}, s.fail(err)
	}
	return s.db.PrimaryIdentity(ctx)
}

func (s *sqliteStore) lookup(ctx context.Context, ids []string) (map[string]entry, error) {
	found := map[string]entry{}
	for _, id := range ids {
		e, err := readRow(ctx, s.db.Conn(), id)
		if err != nil {
			return nil, s.fail(err)
		}
		if e != nil {
			found[id] = *e
		}
	}
	return found, nil
}

func (s *sqliteStore) list(ctx context.Context) (map[string]entry, error) {
	rows, err := s.db.Conn().QueryContext(ctx, selectColumns())
	if err != nil {
		return nil, s.fail(s.db.Wrap("cannot read device_pairing_paired", err))
	}
	defer func() { _ = rows.Close() }()
	found := map[string]entry{}
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return nil, s.fail(s.db.Wrap("cannot read device_pairing_paired", err))
		}
		found[e.text("deviceId")] = e
	}
	return found, s.fail(s.db.Wrap("cannot read device_pairing_paired", rows.Err()))
}

// imported looks into what a first boot left of the files. A device that was
// in there was taken over; if it is gone since, somebody removed it.
func (s *sqliteStore) imported(_ context.Context, deviceID string) (bool, error) {
	left := &jsonStore{stateDir: s.files.stateDir, suffix: ".migrated"}
	content, err := left.read()
	if err != nil {
		return false, nil // a leftover that cannot be read proves nothing
	}
	return slices.ContainsFunc(content.spans, func(span span) bool { return span.key == deviceID }), nil
}

func (s *sqliteStore) remove(ctx context.Context, deviceID string) (bool, error) {
	result, err := s.db.Conn().ExecContext(ctx, `DELETE FROM device_pairing_paired WHERE device_id = ?`, deviceID)
	if err != nil {
		return false, s.fail(s.db.Wrap("cannot write device_pairing_paired", err))
	}
	n, err := result.RowsAffected()
	return n > 0, s.fail(err)
}

// querier is a connection or a transaction on it.
type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// readRow reads a device's row as an entry; nil where there is none.
func readRow(ctx context.Context, from querier, id string) (*entry, error) {
	e, err := scanEntry(from.QueryRowContext(ctx, selectColumns()+" WHERE device_id = ?", id).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot read device_pairing_paired: %w", err)
	}
	return &e, nil
}

func selectColumns() string {
	columns := pairedColumns()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return "SELECT " + strings.Join(names, ", ") + " FROM device_pairing_paired"
}

// scanEntry reads one row of [selectColumns].
func scanEntry(scan func(...any) error) (entry, error) {
	columns := pairedColumns()
	values := make([]any, len(columns))
	targets := make([]any, len(columns))
	for i := range columns {
		targets[i] = &values[i]
	}
	if err := scan(targets...); err != nil {
		return entry{}, err
	}
	var e entry
	for i, c := range columns {
		if raw := fromColumn(c, values[i]); raw != nil {
			e.set(c.member, raw)
		}
	}
	return e, nil
}

// fromColumn is a column's value as JSON; nil where it is NULL or no JSON.
func fromColumn(c column, value any) json.RawMessage {
	if c.encoding == jsonText {
		if text, ok := value.(string); ok && json.Valid([]byte(text)) {
			return json.RawMessage(text)
		}
		return nil
	}
	switch value := value.(type) {
	case string:
		return marshal(value)
	case int64:
		return marshal(value)
	}
	return nil
}

// toColumn is the other way; NULL where the entry has no such member.
func toColumn(c column, e entry) any {
	raw := e.get(c.member)
	switch c.encoding {
	case jsonText:
		if raw != nil {
			return string(raw)
		}
	case integer:
		if n, ok := decode[int64](raw); ok {
			return n
		}
	case plainText:
		if text, ok := decode[string](raw); ok {
			return text
		}
	}
	return nil
}

// update is one short BEGIN IMMEDIATE: a running gateway waits for it (it has
// a busy timeout of 5 s), and what it wrote just before is read first.
func (s *sqliteStore) update(ctx context.Context, devices map[string]Device, change func(*entry, Device)) error {
	tx, err := s.db.Conn().BeginTx(ctx, nil)
	if err != nil {
		return s.fail(s.db.Wrap("cannot begin to write", err))
	}
	defer func() { _ = tx.Rollback() }()
	upsert := upsertQuery()
	for _, id := range slices.Sorted(maps.Keys(devices)) {
		e, err := readRow(ctx, tx, id)
		if err != nil {
			return s.fail(err)
		}
		fresh := e == nil
		if fresh {
			// A first boot makes the database before it imports the files, and a
			// row that is there wins: it must bring along what the file says.
			waiting, err := s.files.lookup(ctx, []string{id})
			if err != nil {
				return err
			}
			first := waiting[id]
			e = &first
		}
		change(e, devices[id])
		if fresh {
			// How the gateway records that the owner said yes.
			e.set("approvedVia", "owner")
		}
		var values []any
		for _, c := range pairedColumns() {
			values = append(values, toColumn(c, *e))
		}
		if _, err := tx.ExecContext(ctx, upsert, values...); err != nil {
			return s.fail(s.db.Wrap("cannot write device_pairing_paired", err))
		}
	}
	return s.fail(s.db.Wrap("cannot commit", tx.Commit()))
}

// upsertQuery names our columns only, so that the others keep their values.
func upsertQuery() string {
	var names, marks, sets []string
	for _, c := range pairedColumns() {
		names = append(names, c.name)
		marks = append(marks, "?")
		sets = append(sets, c.name+" = excluded."+c.name)
	}
	return "INSERT INTO device_pairing_paired (" + strings.Join(names, ", ") + ") VALUES (" + strings.Join(marks, ", ") +
		") ON CONFLICT (device_id) DO UPDATE SET " + strings.Join(sets, ", ")
}

// localToken reads the row of device_auth_tokens that the CLI in this folder
// uses. Where there is none yet it is the file's: 2026.8.2 imports the pairing
// and leaves device-auth.json where it is.
func (s *sqliteStore) localToken(ctx context.Context, deviceID string) (string, []string, error) {
	var token, scopesJSON string
	err := s.db.Conn().QueryRowContext(ctx,
		`SELECT token, scopes_json FROM device_auth_tokens WHERE device_id = ? AND role = ?`, deviceID, roleOperator,
	).Scan(&token, &scopesJSON)
	if errors.Is(err, sql.ErrNoRows) {
		return s.files.localToken(ctx, deviceID)
	}
	scopes, _ := decode[[]string](json.RawMessage(scopesJSON))
	return token, scopes, s.fail(s.db.Wrap("cannot read device_auth_tokens", err))
}

func (s *sqliteStore) keepLocalToken(ctx context.Context, deviceID string, e entry) error {
	wanted := string(marshal(e.tokenScopes()))
	var same bool
	err := s.db.Conn().QueryRowContext(ctx,
		`SELECT EXISTS (SELECT 1 FROM device_auth_tokens WHERE device_id = ? AND role = ? AND token = ? AND scopes_json = ?)`,
		deviceID, roleOperator, e.token(), wanted).Scan(&same)
	if err != nil {
		return s.fail(s.db.Wrap("cannot read device_auth_tokens", err))
	}
	if same {
		return s.retireTokenFile(deviceID)
	}
	_, err = s.db.Conn().ExecContext(ctx,
		`INSERT INTO device_auth_tokens (device_id, role, token, scopes_json, updated_at_ms) VALUES (?, ?, ?, ?, ?)
		 ON CONFLICT (device_id, role) DO UPDATE SET token = excluded.token, scopes_json = excluded.scopes_json, updated_at_ms = excluded.updated_at_ms`,
		deviceID, roleOperator, e.token(), wanted, time.Now().UnixMilli())
	if err != nil {
		return s.fail(s.db.Wrap("cannot write device_auth_tokens", err))
	}
	return s.retireTokenFile(deviceID)
}

// retireTokenFile moves away what 2026.8.2 leaves of an import: its CLI finds the
// file beside the row and then uses neither.
func (s *sqliteStore) retireTokenFile(deviceID string) error {
	file, err := readTokenFile(s.files.stateDir, deviceID)
	if err != nil || len(file.members) == 0 {
		return err
	}
	if err := os.Rename(file.path, file.path+".migrated"); err != nil {
		return file.fail(err)
	}
	return nil
}

// fail makes a [StoreError] of an error of the database; nil stays nil.
func (s *sqliteStore) fail(err error) error {
	if err == nil {
		return nil
	}
	return &StoreError{Path: s.path(), Err: err}
}
