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
	// staged holds what bootstrap kept until there was a database.
	staged *jsonStore
	// migrated is what a first boot left of the files.
	migrated *jsonStore
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
func (s *sqliteStore) close() error { return s.fail(s.db.Wrap("cannot close it", s.db.Close())) }

func (s *sqliteStore) identityPath() string { return s.path() + " (device_identities)" }

func (s *sqliteStore) why() string {
	return fmt.Sprintf("a gateway has made the database, of version %d", s.db.Version())
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
	ctx, cancel := statedb.Within(ctx)
	defer cancel()
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
	ctx, cancel := statedb.Within(ctx)
	defer cancel()
	rows, err := s.db.Conn().QueryContext(ctx, selectColumns())
	if err != nil {
		return nil, s.fail(s.db.Wrap("cannot read device_pairing_paired", err))
	}
	defer func() { _ = rows.Close() }()
	found, size := map[string]entry{}, 0
	for rows.Next() {
		e, err := scanEntry(rows.Scan)
		if err != nil {
			return nil, s.fail(s.db.Wrap("cannot read device_pairing_paired", err))
		}
		if size += e.size(); size > maxStoreSize {
			return nil, &StoreError{
				Path: s.path(), Err: fmt.Errorf("its devices take more than %d MB", maxStoreSize>>20),
				Mend: "it is larger than any that a gateway makes: remove devices (openclaw devices list), or restore a backup",
			}
		}
		found[e.text("deviceId")] = e
	}
	return found, s.fail(s.db.Wrap("cannot read device_pairing_paired", rows.Err()))
}

// imported looks into what a first boot left of the files. A device that was
// in there was taken over; if it is gone since, somebody removed it.
func (s *sqliteStore) imported(_ context.Context, deviceID string) (bool, error) {
	content, err := s.migrated.read()
	if err != nil {
		return false, nil // a leftover that cannot be read proves nothing
	}
	_, was := content.at(deviceID)
	return was, nil
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
func (s *sqliteStore) update(ctx context.Context, devices map[string]Device, without []string, change func(*entry, Device)) error {
	ctx, cancel := statedb.Within(ctx)
	defer cancel()
	tx, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := s.deleteRows(ctx, tx, without); err != nil {
		return err
	}
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
			first, err := s.waiting(ctx, id)
			if err != nil {
				return err
			}
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

// waiting is a device's entry in what precedes the database: the files, or what
// was staged. Its token may be in a client's hands already.
func (s *sqliteStore) waiting(ctx context.Context, id string) (entry, error) {
	for _, before := range []*jsonStore{s.files, s.staged} {
		found, err := before.lookup(ctx, []string{id})
		if e, here := found[id]; here || err != nil {
			return e, err
		}
	}
	return entry{}, nil
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

// localToken reads the row of device_auth_tokens that the CLI in this directory
// uses. Where there is none yet it is the file's: 2026.8.2 imports the pairing
// and leaves device-auth.json where it is.
func (s *sqliteStore) localToken(ctx context.Context, deviceID string) (string, []string, error) {
	ctx, cancel := statedb.Within(ctx)
	defer cancel()
	var token, scopesJSON string
	err := s.db.Conn().QueryRowContext(ctx,
		`SELECT token, scopes_json FROM device_auth_tokens WHERE device_id = ? AND role = ?`, deviceID, roleOperator,
	).Scan(&token, &scopesJSON)
	if errors.Is(err, sql.ErrNoRows) {
		return s.files.localToken(ctx, deviceID)
	}
	if !identity.IsToken(token) {
		token = ""
	}
	scopes, _ := decode[[]string](json.RawMessage(scopesJSON))
	return token, scopes, s.fail(s.db.Wrap("cannot read device_auth_tokens", err))
}

func (s *sqliteStore) keepLocalToken(ctx context.Context, deviceID string, e entry) error {
	ctx, cancel := statedb.Within(ctx)
	defer cancel()
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
	if err := s.db.Writable(ctx); err != nil {
		return s.fail(err)
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

// checkSchema refuses, before anything is written, what a later write would fail
// on or do more in.
func (s *sqliteStore) checkSchema(ctx context.Context) error {
	paired := statedb.Form{Table: "device_pairing_paired", Key: []string{"device_id"}}
	for _, c := range pairedColumns() {
		paired.Columns = append(paired.Columns, c.name)
	}
	tokens := statedb.Form{
		Table:   "device_auth_tokens",
		Columns: []string{"device_id", "role", "token", "scopes_json", "updated_at_ms"},
		Key:     []string{"device_id", "role"},
	}
	for _, form := range append(statedb.ReadForms(), paired, tokens, statedb.IdentityForm()) {
		misfit, err := s.db.Misfit(ctx, form)
		if err != nil {
			return s.fail(err)
		}
		if misfit != "" {
			return unknownSchema(s.path(), fmt.Sprintf("table %s %s (schema version %d)", form.Table, misfit, s.db.Version()))
		}
	}
	return nil
}
