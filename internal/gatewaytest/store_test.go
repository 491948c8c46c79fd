package gatewaytest_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	_ "modernc.org/sqlite"
)

// pairedDevice is an entry of a pairing store, read without any code of ours:
// what the gateway reads has to be there even where we are wrong about it.
type pairedDevice struct {
	PublicKey      string
	Scopes         []string
	ApprovedScopes []string
	Tokens         map[string]struct {
		Token  string
		Scopes []string
	}
	CreatedAtMs, ApprovedAtMs int64
}

// decodeEach reads every entry of a store.
func decodeEach(raw map[string]json.RawMessage, read func([]byte) (pairedDevice, error)) (map[string]pairedDevice, error) {
	devices := map[string]pairedDevice{}
	for id, text := range raw {
		device, err := read(text)
		if err != nil {
			return nil, fmt.Errorf("entry of %s: %w", id, err)
		}
		devices[id] = device
	}
	return devices, nil
}

func databaseOf(state string) string { return filepath.Join(state, "state", "openclaw.sqlite") }

// readPaired reads devices/paired.json, by device id; no file is no devices.
func readPaired(state string) (map[string]json.RawMessage, error) {
	data, err := os.ReadFile(filepath.Join(state, "devices", "paired.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	raw := map[string]json.RawMessage{}
	if err == nil {
		err = json.Unmarshal(data, &raw)
	}
	return raw, err
}

func fromFile(text []byte) (device pairedDevice, err error) {
	err = json.Unmarshal(text, &device)
	return device, err
}

// database is a gateway's database, opened beside its gateway.
type database struct{ *sql.DB }

func openDatabase(t *testing.T, path string) database {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=rw&_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return database{db}
}

// rows are a table's rows, each as JSON of all its columns, by one column.
func (db database) rows(table, key string) (map[string]json.RawMessage, error) {
	rows, err := db.Query("SELECT * FROM " + table)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	names, err := rows.Columns()
	if err != nil {
		return nil, err
	}
	out := map[string]json.RawMessage{}
	for rows.Next() {
		values, targets := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		row := map[string]any{}
		for i, name := range names {
			row[name] = values[i]
		}
		text, err := json.Marshal(row)
		if err != nil {
			return nil, err
		}
		out[fmt.Sprint(row[key])] = text
	}
	return out, rows.Err()
}

// fromRow reads a row of device_pairing_paired.
func fromRow(text []byte) (pairedDevice, error) {
	var row struct {
		PublicKey    string `json:"public_key"`
		ScopesJSON   string `json:"scopes_json"`
		ApprovedJSON string `json:"approved_scopes_json"`
		TokensJSON   string `json:"tokens_json"`
		CreatedAtMs  int64  `json:"created_at_ms"`
		ApprovedAtMs int64  `json:"approved_at_ms"`
	}
	if err := json.Unmarshal(text, &row); err != nil {
		return pairedDevice{}, err
	}
	device := pairedDevice{PublicKey: row.PublicKey, CreatedAtMs: row.CreatedAtMs, ApprovedAtMs: row.ApprovedAtMs}
	return device, errors.Join(
		json.Unmarshal([]byte(row.ScopesJSON), &device.Scopes),
		json.Unmarshal([]byte(row.ApprovedJSON), &device.ApprovedScopes),
		json.Unmarshal([]byte(row.TokensJSON), &device.Tokens),
	)
}

// primary is the id of the device in the primary row; empty where there is none.
func (db database) primary() (deviceID string, err error) {
	var public, private string
	err = db.QueryRow(`SELECT device_id, public_key_pem, private_key_pem FROM device_identities WHERE identity_key = 'primary'`).
		Scan(&deviceID, &public, &private)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return deviceID, checkKeys(deviceID, public, private)
}

// readIdentity is the id of the device in identity/device.json.
func readIdentity(directory string) (string, error) {
	data, err := os.ReadFile(filepath.Join(directory, "identity", "device.json"))
	if err != nil {
		return "", err
	}
	var file struct{ DeviceID, PublicKeyPem, PrivateKeyPem string }
	if err := json.Unmarshal(data, &file); err != nil {
		return "", err
	}
	return file.DeviceID, checkKeys(file.DeviceID, file.PublicKeyPem, file.PrivateKeyPem)
}

// checkKeys tells whether the keys belong together and to the device id.
func checkKeys(deviceID, publicPEM, privatePEM string) error {
	public, _ := pem.Decode([]byte(publicPEM))
	private, _ := pem.Decode([]byte(privatePEM))
	if public == nil || private == nil {
		return errors.New("a key is no PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(private.Bytes)
	if err != nil {
		return err
	}
	pair, ok := key.(ed25519.PrivateKey)
	if !ok {
		return fmt.Errorf("the private key is a %T", key)
	}
	raw := pair.Public().(ed25519.PublicKey)
	spki, err := x509.MarshalPKIXPublicKey(raw)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(raw)
	if !bytes.Equal(spki, public.Bytes) || hex.EncodeToString(sum[:]) != deviceID {
		return errors.New("keys and device id do not belong together")
	}
	return nil
}

// deviceIDOf is the id of the device with this key, as a store holds it.
func deviceIDOf(publicKey string) string {
	raw, err := base64.RawURLEncoding.DecodeString(publicKey)
	if err != nil {
		return err.Error()
	}
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// readToken is the operator's token in identity/device-auth.json.
func readToken(directory string) (string, error) {
	data, err := os.ReadFile(filepath.Join(directory, "identity", "device-auth.json"))
	if err != nil {
		return "", err
	}
	var file struct {
		Tokens map[string]struct{ Token string }
	}
	err = json.Unmarshal(data, &file)
	return file.Tokens["operator"].Token, err
}
