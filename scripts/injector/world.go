//go:build linux && amd64

package main

import (
	"context"
	"database/sql"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// world is one volume, and what is known of it.
type world struct {
	scenario
	store storeKind
	bin   string
	root  string // the volume
	// beside it lies what a command reads and prints
	beside string
	// gateway answers in the scenarios that need one.
	gateway *gateway

	// What was there when the traced command began.
	foreign map[string]string // entries, rows and files, to the byte
	before  stored
	ledger  ledger
	audit   map[string]int
	keys    map[string]string // device ids of our key files
}

func (w *world) state(path string) string { return filepath.Join(w.root, w.stateDir(), path) }

func (w *world) stateDir() string {
	if w.empty {
		return "new/state" // two levels that are not there
	}
	return "state"
}

func (w *world) bundle(name string) string {
	if w.elsewhere {
		return filepath.Join(w.root, "bundles", name)
	}
	return w.state("bootstrap/clients/" + name)
}

// newWorld makes the volume as a gateway and other people left it, and runs the
// scenario's commands before the one that is traced.
func newWorld(dir, bin string, s scenario, store storeKind) (*world, error) {
	w := &world{scenario: s, store: store, bin: bin, root: filepath.Join(dir, "volume"), beside: filepath.Join(dir, "out")}
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(w.root, 0o700), os.MkdirAll(w.beside, 0o700)); err != nil {
		return nil, err
	}
	if err := w.begin(); err != nil {
		w.close()
		return nil, fmt.Errorf("%s: %w", w.title(), err)
	}
	return w, nil
}

func (w *world) begin() error {
	err := writePackages(w.beside)
	if err == nil && !w.empty {
		err = w.furnish()
	}
	for _, command := range w.setup {
		if err == nil {
			err = w.must(command)
		}
	}
	if err == nil && w.prepare != nil {
		err = w.prepare(w)
	}
	if err == nil {
		err = w.remember()
	}
	return err
}

func (w *world) title() string { return w.name + ", " + string(w.store) }

//go:embed foreign.json
var foreignEntries []byte

// furnish writes what is not ours.
func (w *world) furnish() error {
	files := map[string][]byte{"openclaw.json": []byte("{ /* mine */ }\n"), "identity/other.key": []byte("other\x00")}
	if w.store == inFiles && !w.alone {
		files["devices/paired.json"] = foreignEntries
		files["devices/pending.json"] = []byte(`{"r-1":  {}}`)
	}
	for path, data := range files {
		if err := os.MkdirAll(filepath.Dir(w.state(path)), 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(w.state(path), data, 0o600); err != nil {
			return err
		}
	}
	if w.store == inDatabase && !w.late {
		return w.makeDatabase()
	}
	return nil
}

// makeDatabase makes the database as a gateway leaves it, with devices of others.
func (w *world) makeDatabase() error {
	if err := os.MkdirAll(w.state("state"), 0o700); err != nil {
		return err
	}
	if booted := os.Getenv("FAULTS_DATABASE"); booted != "" {
		data, err := os.ReadFile(booted)
		if err == nil {
			err = os.WriteFile(w.state("state/openclaw.sqlite"), data, 0o600)
		}
		return errors.Join(err, w.execute(foreignRows))
	}
	tables, err := os.ReadFile("internal/statedb/testdata/gateway.sql")
	if err != nil {
		return err
	}
	return w.execute(string(tables) + foreignRows)
}

const foreignRows = `
INSERT INTO device_pairing_paired (device_id, public_key, display_name, operator_label, platform, role, roles_json, scopes_json,
  approved_scopes_json, tokens_json, approved_via, node_surface_json, created_at_ms, approved_at_ms, last_seen_at_ms)
VALUES ('aaaa', 'key', 'phone', 'Ann''s', 'ios', 'operator', '["operator"]', '["operator.read" ]', '[ ]', '{"operator": {"token":"x" }}', 'owner', '{"a":1}', 1, 2, 3),
  ('bbbb', 'key', NULL, NULL, NULL, 'node', '["node"]', NULL, NULL, '{}', NULL, NULL, 4, 5, NULL);
INSERT INTO device_auth_tokens VALUES ('aaaa', 'node', 'theirs', '[]', 7);
INSERT INTO state_leases VALUES ('other', 'key', 'them', 1, 1, '{}', 1, 1);`

func (w *world) execute(script string) error {
	db, err := sql.Open("sqlite", w.state("state/openclaw.sqlite"))
	if err != nil {
		return err
	}
	_, err = db.Exec(script)
	return errors.Join(err, db.Close())
}

// remember takes in what is there before the traced command.
func (w *world) remember() (err error) {
	if w.before, err = w.readStore(); err != nil {
		return err
	}
	if w.ledger, err = w.readLedger(); err != nil {
		return err
	}
	if w.audit, err = w.audited(); err != nil {
		return err
	}
	w.foreign = maps.Clone(w.before.whole)
	for id := range w.ledger.Devices {
		for key := range w.foreign {
			if key == id || strings.HasPrefix(key, "device_auth_tokens "+id) {
				delete(w.foreign, key)
			}
		}
	}
	w.keys, err = w.ourKeys()
	return err
}

// ourKeys are the device ids of the keys in the volume's files.
func (w *world) ourKeys() (map[string]string, error) {
	keys := map[string]string{}
	for name, dir := range map[string]string{"self": w.state(""), "agent-1": w.bundle("agent-1"), "agent-2": w.bundle("agent-2")} {
		id, err := readIdentity(dir)
		if err != nil {
			return nil, err
		}
		if id.DeviceID != "" {
			keys[name] = id.DeviceID
		}
	}
	return keys, nil
}

// environment is small, and finds no gateway of somebody else's.
func (w *world) environment() []string {
	port := "1"
	if w.live && w.gateway != nil {
		port = w.gateway.url[strings.LastIndex(w.gateway.url, ":")+1:]
	}
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + w.beside, "TMPDIR=" + w.beside,
		"OPENCLAW_STATE_DIR=" + w.state(""), "OPENCLAW_GATEWAY_PORT=" + port, "BOOTSTRAP_READY_FILE=off",
	}, w.env...)
}

// arguments fills in what differs from one volume to the next.
func (w *world) arguments(words []string) []string {
	url := ""
	if w.gateway != nil {
		url = w.gateway.url
	}
	fill := strings.NewReplacer("$BUNDLES", filepath.Join(w.root, "bundles"), "$OUT", w.beside, "$STATE", w.state(""), "$URL", url)
	out := make([]string, len(words))
	for i, word := range words {
		out[i] = fill.Replace(word)
	}
	if w.store == inStaged && out[0] == "seed" {
		// Flags stand before the name that rotate and revoke take.
		at := 1
		if len(out) > 1 && !strings.HasPrefix(out[1], "-") {
			at = 2
		}
		out = append(out[:at:at], append([]string{"--gateway-package", filepath.Join(w.beside, "2026.9.5")}, out[at:]...)...)
	}
	return out
}

func (w *world) program(words []string) program {
	return program{path: w.bin, args: w.arguments(words), env: w.environment(), root: w.root, dir: w.beside}
}

// run runs a command without a tracer.
func (w *world) run(words []string) (result ran, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, w.bin, w.arguments(words)...)
	var stdout, stderr strings.Builder
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = w.environment(), w.root, &stdout, &stderr
	err = cmd.Run()
	if fault := (*exec.ExitError)(nil); errors.As(err, &fault) {
		result.code, err = fault.ExitCode(), nil
	}
	result.stdout, result.stderr = stdout.String(), stderr.String()
	return result, err
}

func (w *world) must(words []string) error {
	result, err := w.run(words)
	if err == nil && result.code != 0 {
		err = fmt.Errorf("%s ended with %d: %s", strings.Join(words, " "), result.code, result.stderr)
	}
	return err
}

// writePackages makes what looks like installed gateways; each prints that it has
// started.
func writePackages(dir string) error {
	for _, release := range []string{"2026.7.1", "2026.9.5", "2026.9.6"} {
		files := map[string]string{
			"package.json": `{"name": "openclaw", "version": "` + release + `", "bin": {"openclaw": "openclaw"}}`,
			"openclaw":     "#!/bin/sh\necho started\nexit 7\n",
		}
		for name, content := range files {
			path := filepath.Join(dir, release, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
				return err
			}
		}
	}
	return os.WriteFile(filepath.Join(dir, "key"), []byte("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f\n"), 0o600)
}
