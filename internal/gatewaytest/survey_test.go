package gatewaytest_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// survey is what a volume holds.
type survey struct {
	self    string
	raw     map[string]json.RawMessage // whole entries, by device id
	devices map[string]pairedDevice
}

// survey fails the test where anything cannot be read.
func (v volume) survey(t *testing.T) survey {
	t.Helper()
	if v.migrated(t) {
		db := openDatabase(t, databaseOf(v.state))
		defer func() { _ = db.Close() }()
		return surveyDatabase(t, db)
	}
	raw := must(readPaired(v.state))(t)
	return newSurvey(t, identityIfAny(t, v.state), raw, fromFile)
}

// surveyCrash reads a database from its file and its log alone, and leaves them
// to the next one as they are.
func (v volume) surveyCrash(t *testing.T) survey {
	t.Helper()
	if !v.migrated(t) {
		return v.survey(t)
	}
	db := openDatabase(t, crashCopy(t, databaseOf(v.state)))
	defer func() { _ = db.Close() }()
	var healthy string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&healthy); err != nil || healthy != "ok" {
		t.Fatalf("the database is broken: %s (%v)", healthy, err)
	}
	return surveyDatabase(t, db)
}

func surveyDatabase(t *testing.T, db database) survey {
	t.Helper()
	raw := must(db.rows("device_pairing_paired", "device_id"))(t)
	return newSurvey(t, must(db.primary())(t), raw, fromRow)
}

func newSurvey(t *testing.T, self string, raw map[string]json.RawMessage, read func([]byte) (pairedDevice, error)) survey {
	t.Helper()
	devices := must(decodeEach(raw, read))(t)
	for id, device := range devices {
		token := device.Tokens["operator"]
		if deviceIDOf(device.PublicKey) != id || token.Token == "" || len(token.Scopes) == 0 ||
			len(device.Scopes) == 0 || len(device.ApprovedScopes) == 0 || device.CreatedAtMs == 0 || device.ApprovedAtMs == 0 {
			t.Errorf("half an entry: %s", id)
		}
	}
	return survey{self, raw, devices}
}

// crashCopy is the database as the next one to open it finds it.
func crashCopy(t *testing.T, path string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "copy.sqlite")
	for _, part := range []string{"", "-wal"} {
		data, err := os.ReadFile(path + part)
		if os.IsNotExist(err) && part != "" {
			continue
		}
		if err == nil {
			err = os.WriteFile(to+part, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

func identityIfAny(t *testing.T, directory string) string {
	t.Helper()
	id, err := readIdentity(directory)
	if err != nil && !os.IsNotExist(err) {
		t.Fatalf("%s: %v", directory, err)
	}
	return id
}

func (s survey) wantPaired(t *testing.T, deviceID string) {
	t.Helper()
	if _, there := s.devices[deviceID]; !there {
		t.Errorf("the device %q is not in the store", deviceID)
	}
}

// wantNoLessThan: whatever was there is there, to the byte.
func (s survey) wantNoLessThan(t *testing.T, before survey) {
	t.Helper()
	if before.self != "" && s.self != before.self {
		t.Errorf("the identity was %s and is %q", before.self, s.self)
	}
	for id, entry := range before.raw {
		if now, there := s.raw[id]; !there || !bytes.Equal(now, entry) {
			t.Errorf("the entry of %s is gone or changed", id)
		}
	}
}

// wantNoLitter: the files that a killed run was writing do not pile up.
func (v volume) wantNoLitter(t *testing.T) {
	t.Helper()
	known := []string{
		"paired.json", "device.json", "device-auth.json", "ledger.json", "audit.jsonl", "lock", "env", "gateway-token",
	}
	for _, directory := range []string{"devices", "identity", "bootstrap"} {
		_ = filepath.WalkDir(filepath.Join(v.state, directory), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() && !slices.Contains(known, entry.Name()) {
				t.Errorf("left behind: %s", path)
			}
			return nil // a directory that is not there holds no litter
		})
	}
}
