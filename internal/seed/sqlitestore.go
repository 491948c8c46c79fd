package seed

import (
	"cmp"
	"context"
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
func (s *sqliteStore) close() error { return s.fail(s.db.Close()) }

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
	found, err := readRows(ctx, s.db, ids)
	return found, s.fail(err)
}

func (s *sqliteStore) list(ctx context.Context) (map[string]entry, error) {
	// What is too much is not read, for that would take as long as there is of it.
	var rows, size int
	if _, err := s.db.Row(ctx, sizeOfAll(), &rows, &size); err != nil || rows > maxEntries || size > maxStoreSize {
		return nil, cmp.Or(s.fail(err), s.tooLarge())
	}
	found, size := map[string]entry{}, 0
	err := s.db.Each(ctx, selectRows(""), func(scan statedb.Scan) error {
		e, err := scanEntry(scan)
		if size += e.size(); size > maxStoreSize || len(found) == maxEntries { // it grows meanwhile
			return s.tooLarge()
		}
		found[e.text("deviceId")] = e
		return err
	})
	return found, s.fail(err)
}

// sizeOfAll asks how many rows there are, and the bytes of their values, which SQLite tells
// without reading them.
func sizeOfAll() statedb.Query {
	var sizes []string
	for _, c := range pairedColumns() {
		sizes = append(sizes, "coalesce(octet_length("+c.name+"), 0)")
	}
	return pairedQuery("SELECT count(*), coalesce(sum(" + strings.Join(sizes, " + ") + "), 0) FROM device_pairing_paired")
}

func (s *sqliteStore) tooLarge() error {
	return &StoreError{
		Path: s.path(), Err: fmt.Errorf("its devices are more than %d, or take more than %d MB", maxEntries, maxStoreSize>>20),
		Fix: "it is larger than any that a gateway makes: remove devices (openclaw devices list), or restore a backup",
	}
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

// reader is the database or a transaction on it.
type reader interface {
	Each(ctx context.Context, query statedb.Query, read func(statedb.Scan) error) error
}

// readRows reads the rows of those of the devices that have one.
func readRows(ctx context.Context, from reader, ids []string) (map[string]entry, error) {
	found := map[string]entry{}
	err := from.Each(ctx, selectRows(oneOf, string(marshal(ids))), func(scan statedb.Scan) error {
		e, err := scanEntry(scan)
		found[e.text("deviceId")] = e
		return err
	})
	return found, err
}

// oneOf selects the devices that a JSON array names. It says temp, where no gateway has a
// table, since one of the function's name would take its place.
const oneOf = " WHERE device_id IN (SELECT value FROM temp.json_each(?))"

func selectRows(which string, args ...any) statedb.Query {
	columns := pairedColumns()
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = c.name
	}
	return pairedQuery("SELECT "+strings.Join(names, ", ")+" FROM device_pairing_paired"+which, args...)
}

func pairedQuery(statement string, args ...any) statedb.Query {
	return statedb.Query{Table: "device_pairing_paired", SQL: statement, Args: args}
}

// scanEntry reads one row of [selectRows].
func scanEntry(scan statedb.Scan) (entry, error) {
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

// update reads what a running gateway wrote just before, in the transaction that writes.
func (s *sqliteStore) update(ctx context.Context, devices map[string]Device, without []string, change func(*entry, Device)) (gone []string, err error) {
	err = s.db.Change(ctx, func(ctx context.Context, tx statedb.Tx) error {
		if _, err := s.deleteRows(ctx, tx, without); err != nil {
			return err
		}
		ids := slices.Sorted(maps.Keys(devices))
		found, err := readRows(ctx, tx, ids)
		if err != nil {
			return err
		}
		for _, id := range ids {
			e, there := found[id]
			if !there && devices[id].known {
				gone = append(gone, id)
				continue
			}
			if !there {
				// A first boot makes the database before it imports the files, and a
				// row that is there wins: it must bring along what the file says.
				if e, err = s.waiting(ctx, id); err != nil {
					return err
				}
			}
			change(&e, devices[id])
			if !there {
				// How the gateway records that the owner said yes.
				e.set("approvedVia", "owner")
			}
			written, err := tx.Write(ctx, upsert(e))
			if err != nil {
				return err
			}
			if written == 0 {
				return s.undone()
			}
		}
		return nil
	})
	return gone, s.fail(err)
}

func (s *sqliteStore) remove(ctx context.Context, deviceIDs ...string) (bool, error) {
	if len(deviceIDs) == 0 {
		return false, nil
	}
	var removed int64
	err := s.db.Change(ctx, func(ctx context.Context, tx statedb.Tx) (err error) {
		removed, err = s.deleteRows(ctx, tx, deviceIDs)
		return err
	})
	return removed > 0, s.fail(err)
}

// deleteRows tells how many of the devices' rows were there.
func (s *sqliteStore) deleteRows(ctx context.Context, tx statedb.Tx, deviceIDs []string) (int64, error) {
	if len(deviceIDs) == 0 {
		return 0, nil
	}
	removed, err := tx.Write(ctx, pairedQuery("DELETE FROM device_pairing_paired"+oneOf, string(marshal(deviceIDs))))
	if err != nil {
		return 0, err
	}
	left, err := readRows(ctx, tx, deviceIDs)
	if err == nil && len(left) > 0 {
		err = s.undone()
	}
	return removed, err
}

// undone is the error about a database that has not done what it was told, as one with a
// trigger may that was made after [sqliteStore.checkSchema].
func (s *sqliteStore) undone() error {
	return &StoreError{
		Path: s.path(), Err: errors.New("it undoes what is written to device_pairing_paired"),
		Fix: "no gateway makes such a database: look at it (sqlite3 FILE .schema), or restore a backup",
	}
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

// upsert names our columns only, so that the others keep their values.
func upsert(e entry) statedb.Query {
	var names, marks, sets []string
	var values []any
	for _, c := range pairedColumns() {
		values = append(values, toColumn(c, e))
		names = append(names, c.name)
		marks = append(marks, "?")
		sets = append(sets, c.name+" = excluded."+c.name)
	}
	return pairedQuery("INSERT INTO device_pairing_paired ("+strings.Join(names, ", ")+") VALUES ("+strings.Join(marks, ", ")+
		") ON CONFLICT (device_id) DO UPDATE SET "+strings.Join(sets, ", "), values...)
}

// localToken reads the row of device_auth_tokens that the CLI in this directory
// uses. Where there is none yet it is the file's: 2026.8.2 imports the pairing
// and leaves device-auth.json where it is.
func (s *sqliteStore) localToken(ctx context.Context, deviceID string) (string, []string, error) {
	var token, scopesJSON string
	found, err := s.db.Row(ctx, statedb.Query{
		Table: "device_auth_tokens", Args: []any{deviceID, roleOperator},
		SQL: `SELECT token, scopes_json FROM device_auth_tokens WHERE device_id = ? AND role = ?`,
	}, &token, &scopesJSON)
	if err == nil && !found {
		return s.files.localToken(ctx, deviceID)
	}
	if !identity.IsToken(token) {
		token = ""
	}
	scopes, _ := decode[[]string](json.RawMessage(scopesJSON))
	return token, scopes, s.fail(err)
}

func (s *sqliteStore) keepLocalToken(ctx context.Context, deviceID string, e entry) error {
	row := []any{deviceID, roleOperator, e.token(), string(marshal(e.tokenScopes()))}
	same, err := s.db.Row(ctx, statedb.Query{
		Table: "device_auth_tokens", Args: row,
		SQL: `SELECT 1 FROM device_auth_tokens WHERE device_id = ? AND role = ? AND token = ? AND scopes_json = ?`,
	}, new(int))
	if err == nil && !same {
		err = s.db.Change(ctx, func(ctx context.Context, tx statedb.Tx) error {
			_, err := tx.Write(ctx, statedb.Query{
				Table: "device_auth_tokens", Args: append(row, time.Now().UnixMilli()),
				SQL: `INSERT INTO device_auth_tokens (device_id, role, token, scopes_json, updated_at_ms) VALUES (?, ?, ?, ?, ?)
				      ON CONFLICT (device_id, role) DO UPDATE SET token = excluded.token, scopes_json = excluded.scopes_json, updated_at_ms = excluded.updated_at_ms`,
			})
			return err
		})
	}
	if err != nil {
		return s.fail(err)
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

// fail makes a [StoreError] of an error of the database; nil and what is one stay.
func (s *sqliteStore) fail(err error) error {
	if err == nil || errors.As(err, new(*StoreError)) {
		return err
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
	return s.checkForms(ctx, append(statedb.ReadForms(), paired, tokens, statedb.IdentityForm())...)
}

func (s *sqliteStore) checkForms(ctx context.Context, forms ...statedb.Form) error {
	table, misfit, err := s.db.Misfit(ctx, forms...)
	if err != nil {
		return s.fail(err)
	}
	if misfit != "" {
		return unknownSchema(s.path(), fmt.Sprintf("table %s %s (schema version %d)", table, misfit, s.db.Version()))
	}
	return nil
}
