//go:build linux && amd64

package main

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	_ "modernc.org/sqlite" // reads the gateway's database
)

// storeKind is where a gateway of some time keeps its pairings.
type storeKind string

const (
	inFiles    storeKind = "json"
	inStaged   storeKind = "staged" // until the gateway makes its database
	inDatabase storeKind = "sqlite"
)

// stored is what a store holds.
type stored struct {
	devices map[string]device
	// whole has every entry, to the byte, and every row of the other tables.
	whole map[string]string
	// ids are in order, and twice where an entry is.
	ids []string
}

type device struct {
	name, token string
	scopes      []string
}

type wireDevice struct {
	DisplayName string `json:"displayName"`
	Tokens      struct {
		Operator struct {
			Token  string   `json:"token"`
			Scopes []string `json:"scopes"`
		} `json:"operator"`
	} `json:"tokens"`
}

func (s *stored) add(id, whole string, wire wireDevice) {
	s.ids = append(s.ids, id)
	s.whole[id] = whole
	s.devices[id] = device{name: wire.DisplayName, token: wire.Tokens.Operator.Token, scopes: wire.Tokens.Operator.Scopes}
}

// ours are the ids of the devices of a name.
func (s stored) ours(name string) (ids []string) {
	for id, device := range s.devices {
		if device.name == "bootstrap: "+name {
			ids = append(ids, id)
		}
	}
	return ids
}

func (w *world) readStore() (stored, error) {
	s := stored{devices: map[string]device{}, whole: map[string]string{}}
	switch w.store {
	case inDatabase:
		return s, w.readDatabase(&s)
	case inStaged:
		staged := w.state("bootstrap/staged.json")
		if _, err := os.Lstat(staged); w.alone && errors.Is(err, fs.ErrNotExist) {
			staged = w.state("devices/paired.json") // it is not withdrawn yet
		}
		return s, readEntries(&s, staged)
	default:
		return s, readEntries(&s, w.state("devices/paired.json"))
	}
}

// readEntries reads a JSON store; none is an empty one.
func readEntries(s *stored, path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !json.Valid(data) {
		return fmt.Errorf("%s is no JSON", path)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	if _, err := decoder.Token(); err != nil {
		return err
	}
	for decoder.More() {
		id, err := decoder.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := decoder.Decode(&raw); err != nil {
			return err
		}
		var wire wireDevice
		_ = json.Unmarshal(raw, &wire) // a foreign entry may be anything
		s.add(fmt.Sprint(id), string(raw), wire)
	}
	return nil
}

// readDatabase reads a copy: to open the database itself would fix what the next
// run is to find. The shared memory does not outlive its processes.
func (w *world) readDatabase(s *stored) error {
	dir := filepath.Join(w.beside, "copy")
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)); err != nil {
		return err
	}
	copied := filepath.Join(dir, "copy.sqlite")
	for _, suffix := range []string{"", "-wal"} {
		data, err := os.ReadFile(w.state("state/openclaw.sqlite") + suffix)
		if suffix != "" && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := os.WriteFile(copied+suffix, data, 0o600); err != nil {
			return err
		}
	}
	db, err := sql.Open("sqlite", copied)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	var verdict string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		return fmt.Errorf("the database does not hold: %s, %w", verdict, err)
	}
	tables, err := rowsOf(db, "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name")
	if err != nil {
		return err
	}
	for _, table := range tables {
		s.whole["schema "+table[0]] = table[1]
		rows, err := rowsOf(db, `SELECT * FROM "`+table[0]+`"`)
		if err != nil {
			return err
		}
		for _, row := range rows {
			if whole := strings.Join(row, "|"); table[0] != "device_pairing_paired" {
				s.whole[table[0]+" "+whole] = whole
			}
		}
	}
	return readRows(db, s)
}

func readRows(db *sql.DB, s *stored) error {
	rows, err := rowsOf(db, "SELECT device_id, coalesce(display_name, ''), coalesce(tokens_json, '{}'), * FROM device_pairing_paired")
	if err != nil {
		return err
	}
	for _, row := range rows {
		var wire wireDevice
		if err := json.Unmarshal([]byte(row[2]), &wire.Tokens); err != nil {
			return fmt.Errorf("tokens of %s: %w", row[0], err)
		}
		wire.DisplayName = row[1]
		s.add(row[0], strings.Join(row[3:], "|"), wire)
	}
	return nil
}

func rowsOf(db *sql.DB, query string) (out [][]string, err error) {
	rows, err := db.Query(query)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer func() { err = errors.Join(err, rows.Close(), rows.Err()) }()
	columns, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := make([]string, len(columns))
		for i, value := range values {
			if row[i] = value.String; !value.Valid {
				row[i] = "NULL"
			}
		}
		out = append(out, row)
	}
	return out, nil
}

// ledger is bootstrap's own memory.
type ledger struct {
	Devices map[string]struct {
		Name        string `json:"name"`
		Store       string `json:"store"`
		Confirmed   bool   `json:"confirmed"`
		Retired     bool   `json:"retired"`
		RevokedAtMs int64  `json:"revokedAtMs"`
	} `json:"devices"`
}

func (w *world) readLedger() (l ledger, err error) {
	return l, readJSON(w.state("bootstrap/ledger.json"), &l)
}

// readJSON leaves into as it is where there is no file.
func readJSON(path string, into any) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		if err = json.Unmarshal(data, into); err != nil {
			err = fmt.Errorf("%s: %w", path, err)
		}
	}
	return err
}

// audited counts the audit log's lines about each device.
func (w *world) audited() (map[string]int, error) {
	counts := map[string]int{}
	data, err := os.ReadFile(w.state("bootstrap/audit.jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return counts, nil
	}
	for line := range strings.Lines(string(data)) {
		var record struct {
			DeviceID string `json:"deviceId"`
		}
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			return nil, fmt.Errorf("audit.jsonl has a line that is none: %q", line)
		}
		counts[record.DeviceID]++
	}
	return counts, err
}

// identity is the key that is in a directory of ours.
type identity struct {
	DeviceID string `json:"deviceId"`
}

func readIdentity(dir string) (id identity, err error) {
	return id, readJSON(filepath.Join(dir, "identity", "device.json"), &id)
}

// localToken is the token that a CLI with that state directory shows.
func localToken(dir string) (string, error) {
	var file struct {
		Tokens struct {
			Operator struct {
				Token string `json:"token"`
			} `json:"operator"`
		} `json:"tokens"`
	}
	err := readJSON(filepath.Join(dir, "identity", "device-auth.json"), &file)
	return file.Tokens.Operator.Token, err
}
