package gatewaytest_test

import (
	"errors"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
)

// migrated tells whether the gateway of this volume reads a database. The volume
// shows it, whatever the release: 2026.6.11 and 2026.7.1 make a database too, of
// version 1 and without this column, and read the files.
func (v volume) migrated(t *testing.T) bool {
	t.Helper()
	_, err := os.Stat(databaseOf(v.state))
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		t.Fatal(err)
	}
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	var schema, columns int
	err = db.QueryRow(`SELECT user_version, (SELECT count(*) FROM pragma_table_info('device_pairing_paired') WHERE name = 'approved_via')
		FROM pragma_user_version`).Scan(&schema, &columns)
	if err != nil {
		t.Fatal(err)
	}
	return schema >= 2 && columns == 1 && !v.downgraded
}

// paired reads the store that the gateway reads, by device id.
func (v volume) paired(t *testing.T) map[string]pairedDevice {
	t.Helper()
	if !v.migrated(t) {
		return must(decodeEach(must(readPaired(v.state))(t), fromFile))(t)
	}
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	return must(decodeEach(must(db.rows("device_pairing_paired", "device_id"))(t), fromRow))(t)
}

// self is the id of the state directory's own device.
func (v volume) self(t *testing.T) string {
	t.Helper()
	if !v.migrated(t) {
		return must(readIdentity(v.state))(t)
	}
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	return must(db.primary())(t)
}

// snapshot is all that seeding could change, byte for byte and column for
// column.
func (v volume) snapshot(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, directory := range []string{"devices", "identity", "bootstrap"} {
		err := filepath.WalkDir(filepath.Join(v.state, directory), func(path string, entry fs.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			out[path] = string(data)
			return err
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	if !v.migrated(t) {
		return out
	}
	db := openDatabase(t, databaseOf(v.state))
	defer func() { _ = db.Close() }()
	for table, key := range map[string]string{
		"device_pairing_paired": "device_id", "device_identities": "identity_key", "device_auth_tokens": "device_id",
	} {
		for id, row := range must(db.rows(table, key))(t) {
			out[table+" "+id] = string(row)
		}
	}
	return out
}

// withoutLastUse leaves out when the gateway last saw a token: seeding a JSON-era
// gateway live ends with a connect, which it notes in the file.
func withoutLastUse(snapshot map[string]string) map[string]string {
	noted := regexp.MustCompile(`"lastUsedAtMs": \d+`)
	out := map[string]string{}
	for name, text := range snapshot {
		out[name] = noted.ReplaceAllString(text, `"lastUsedAtMs": 0`)
	}
	return out
}

// wantSame names what differs, not how: there are tokens in it.
func wantSame(t *testing.T, before, after map[string]string) {
	t.Helper()
	for _, name := range slices.Sorted(maps.Keys(before)) {
		if text, there := after[name]; !there {
			t.Errorf("gone: %s", name)
		} else if text != before[name] {
			t.Errorf("changed: %s", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(after)) {
		if _, there := before[name]; !there {
			t.Errorf("new: %s", name)
		}
	}
}

// must is a value whose error ends the test.
func must[T any](value T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}
