// Command limit does before a gateway starts what bootstrap has to read and write
// there, and nothing else: no settings, no locks, no checks. What bootstrap takes
// beyond it is bootstrap's own.
//
//	limit first GATEWAY [ARGUMENT...]   on an empty state directory
//	limit later GATEWAY [ARGUMENT...]   on one that is seeded, files or database
package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	_ "modernc.org/sqlite"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1) //nolint:forbidigo // nothing is deferred here
	}
}

func run() error {
	if len(os.Args) < 3 {
		return errors.New("usage: limit first|later GATEWAY [ARGUMENT...]")
	}
	work := later
	if os.Args[1] == "first" {
		work = first
	}
	if err := work(os.Getenv("OPENCLAW_STATE_DIR")); err != nil {
		return err
	}
	return syscall.Exec(os.Args[2], os.Args[2:], os.Environ())
}

// first writes the key, its token, the pairing, the ledger and the audit line, with
// the fsyncs that keep their promises.
func first(state string) error {
	for _, name := range []string{"bootstrap", "identity", "devices"} {
		if err := os.Mkdir(filepath.Join(state, name), 0o700); err != nil {
			return err
		}
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	publicDER, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return err
	}
	privateDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(public)
	id, now, token := hex.EncodeToString(sum[:]), time.Now().UnixMilli(), rand.Text()
	scopes := []string{"operator.admin", "operator.approvals", "operator.pairing", "operator.read", "operator.talk.secrets", "operator.write"}
	operator := map[string]any{"token": token, "role": "operator", "scopes": scopes, "createdAtMs": now}
	for _, file := range []struct {
		name  string
		value map[string]any
		last  bool // of its directory, which is synced then
	}{
		{"identity/device.json", map[string]any{
			"version": 1, "deviceId": id, "createdAtMs": now,
			"publicKeyPem":  string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: publicDER})),
			"privateKeyPem": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: privateDER})),
		}, false},
		{"identity/device-auth.json", map[string]any{"version": 1, "deviceId": id, "tokens": map[string]any{"operator": operator}}, true},
		{"bootstrap/audit.jsonl", map[string]any{"at": now, "deviceId": id, "scopes": scopes}, false},
		{"devices/paired.json", map[string]any{id: map[string]any{
			"deviceId": id, "publicKey": base64.RawURLEncoding.EncodeToString(public), "displayName": "bootstrap", "clientId": "cli", "clientMode": "cli",
			"role": "operator", "roles": []string{"operator"}, "scopes": scopes, "approvedScopes": scopes,
			"tokens": map[string]any{"operator": operator}, "createdAtMs": now, "approvedAtMs": now,
		}}, true},
		{"bootstrap/ledger.json", map[string]any{"version": 1, "devices": map[string]any{id: map[string]any{"scopes": scopes, "seededAtMs": now}}}, true},
	} {
		if err := write(filepath.Join(state, file.name), file.value, file.last); err != nil {
			return err
		}
	}
	return syncPath(state)
}

func write(path string, value any, last bool) error {
	data, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	file, err := os.OpenFile(path+".tmp", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = file.Write(data); err == nil {
		err = file.Sync()
	}
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil || !last {
		return err
	}
	return syncPath(filepath.Dir(path))
}

func syncPath(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// device is what both stores have of the state directory's own device.
type device struct {
	id, private   string
	paired, token string // the token in the store, and the one beside it
}

func later(state string) error {
	var ledger struct{ Devices map[string]json.RawMessage }
	if err := read(state, "bootstrap/ledger.json", &ledger); err != nil {
		return err
	}
	from := fromFiles
	if _, missing := os.Stat(filepath.Join(state, "state", "openclaw.sqlite")); missing == nil {
		from = fromDatabase
	}
	found, err := from(state)
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(found.private))
	if block == nil {
		return errors.New("no key")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(key.(ed25519.PrivateKey).Public().(ed25519.PublicKey))
	if hex.EncodeToString(sum[:]) != found.id || found.paired != found.token || len(ledger.Devices) == 0 {
		return errors.New("it is not paired")
	}
	return nil
}

func read(state, name string, into any) error {
	data, err := os.ReadFile(filepath.Join(state, name))
	if err != nil {
		return err
	}
	return json.Unmarshal(data, into)
}

type tokens map[string]struct{ Token string }

func fromFiles(state string) (device, error) {
	var own struct{ DeviceID, PrivateKeyPem string }
	var auth struct{ Tokens tokens }
	var paired map[string]struct{ Tokens tokens }
	err := errors.Join(read(state, "identity/device.json", &own), read(state, "identity/device-auth.json", &auth), read(state, "devices/paired.json", &paired))
	return device{own.DeviceID, own.PrivateKeyPem, paired[own.DeviceID].Tokens["operator"].Token, auth.Tokens["operator"].Token}, err
}

func fromDatabase(state string) (d device, err error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(state, "state", "openclaw.sqlite")+"?mode=ro")
	if err != nil {
		return d, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	db.SetMaxOpenConns(1)
	var encoded string
	err = db.QueryRow(`SELECT i.device_id, i.private_key_pem, p.tokens_json, t.token
		FROM device_identities i JOIN device_pairing_paired p USING (device_id) JOIN device_auth_tokens t USING (device_id)
		WHERE i.identity_key = 'primary' AND t.role = 'operator'`).Scan(&d.id, &d.private, &encoded, &d.token)
	if err != nil {
		return d, err
	}
	var paired tokens
	err = json.Unmarshal([]byte(encoded), &paired)
	d.paired = paired["operator"].Token
	return d, err
}
