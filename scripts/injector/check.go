//go:build linux && amd64

package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// always are the faults that no moment may show, whatever was done to the command.
func (w *world) always() (faults []string) {
	now, err := w.readStore()
	if err != nil {
		return []string{"the store cannot be read: " + err.Error()}
	}
	for key, whole := range w.foreign {
		if now.whole[key] != whole {
			faults = append(faults, fmt.Sprintf("what is not ours was changed: %s: %q", key, now.whole[key]))
		}
	}
	for _, id := range now.ids {
		if len(slices.DeleteFunc(slices.Clone(now.ids), func(other string) bool { return other != id })) > 1 {
			faults = append(faults, "the store has "+id+" twice")
		}
	}
	for _, name := range []string{"self", "agent-1", "agent-2"} {
		if ids := now.ours(name); len(ids) > 1 {
			faults = append(faults, fmt.Sprintf("%d devices are %s", len(ids), name))
		}
	}
	return slices.Concat(faults, w.ourFiles(), w.remembered(now), w.recorded(now), w.approvals())
}

// ourFiles have to be whole, and keys to stay.
func (w *world) ourFiles() (faults []string) {
	_ = filepath.WalkDir(w.root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasPrefix(entry.Name(), ".") || !strings.HasSuffix(path, ".json") || entry.Name() == "openclaw.json" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !json.Valid(data) {
			faults = append(faults, fmt.Sprintf("%s is not whole: %q, %v", strings.TrimPrefix(path, w.root), data, err))
		}
		return nil
	})
	keys, err := w.ourKeys()
	if err != nil {
		return append(faults, err.Error())
	}
	for name, id := range w.keys {
		if keys[name] != id {
			faults = append(faults, fmt.Sprintf("the key of %s is another one, or gone", name))
		}
	}
	return faults
}

// remembered compares the ledger with the store: who is in the one for certain and
// not in the other was removed by somebody, says the next run.
func (w *world) remembered(now stored) (faults []string) {
	l, err := w.readLedger()
	if err != nil {
		return []string{err.Error()}
	}
	for id, record := range l.Devices {
		_, here := now.devices[id]
		if !here && record.Confirmed && record.RevokedAtMs == 0 && !record.Retired && record.Store == string(w.store) {
			faults = append(faults, "the ledger is certain of "+record.Name+", and it is not in the store")
		}
	}
	return faults
}

// recorded: a change to the store is in the audit log before.
func (w *world) recorded(now stored) (faults []string) {
	audit, err := w.audited()
	if err != nil {
		return []string{err.Error()}
	}
	ids := slices.Concat(now.ids, w.before.ids)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if now.whole[id] != w.before.whole[id] && audit[id] <= w.audit[id] && !w.late {
			faults = append(faults, "the audit log knows nothing of the change to "+id)
		}
	}
	return faults
}

// complete are the faults of a command that has said that all is well.
func (w *world) complete(stdout string) (faults []string) {
	now, err := w.readStore()
	if err != nil {
		return []string{err.Error()}
	}
	l, err := w.readLedger()
	if err != nil {
		return []string{err.Error()}
	}
	for _, name := range w.in {
		faults = append(faults, w.isIn(name, now, l)...)
	}
	for _, name := range w.out {
		if len(now.ours(name)) > 0 {
			faults = append(faults, name+" is still in the store")
		}
	}
	for _, name := range w.renewed {
		for _, id := range now.ours(name) {
			for was, device := range w.before.devices {
				if device.name == "bootstrap: "+name && device.token == now.devices[id].token {
					faults = append(faults, fmt.Sprintf("%s still has the token of %s", name, was))
				}
			}
		}
	}
	if w.also != nil {
		faults = append(faults, w.also(w)...)
	}
	return append(faults, w.reported(stdout, now)...)
}

// isIn tells what is missing of a device, in the store, the ledger or its bundle.
func (w *world) isIn(name string, now stored, l ledger) (faults []string) {
	ids := now.ours(name)
	if len(ids) != 1 {
		return []string{fmt.Sprintf("%s is %d times in the store", name, len(ids))}
	}
	id, token := ids[0], now.devices[ids[0]].token
	record := l.Devices[id]
	if record.Name != name || record.Store != string(w.store) || !record.Confirmed && !w.live || record.RevokedAtMs != 0 || record.Retired {
		faults = append(faults, fmt.Sprintf("the ledger has %+v of %s", record, name))
	}
	if name == "self" {
		self, err := w.selfID()
		local, tokenErr := w.selfToken(id)
		if err := errors.Join(err, tokenErr); err != nil || self != id || local != token {
			faults = append(faults, fmt.Sprintf("the state directory's own key or token is not the store's: %v", err))
		}
		return faults
	}
	key, err := readIdentity(w.bundle(name))
	local, tokenErr := localToken(w.bundle(name))
	env, envErr := os.ReadFile(filepath.Join(w.bundle(name), "env"))
	if err := errors.Join(err, tokenErr, envErr); err != nil || key.DeviceID != id || local != token || !strings.Contains(string(env), "\nOPENCLAW_GATEWAY_TOKEN="+token+"\n") {
		faults = append(faults, fmt.Sprintf("the bundle of %s is not what the store has: %v", name, err))
	}
	return faults
}

func (w *world) selfID() (id string, err error) {
	if w.store != inDatabase {
		key, err := readIdentity(w.state(""))
		return key.DeviceID, err
	}
	err = w.ask(&id, "SELECT device_id FROM device_identities WHERE identity_key = 'primary'")
	return id, err
}

func (w *world) selfToken(id string) (token string, err error) {
	switch w.store {
	case inDatabase:
		err = w.ask(&token, "SELECT token FROM device_auth_tokens WHERE role = 'operator' AND device_id = '"+id+"'")
	case inFiles:
		token, err = localToken(w.state(""))
	case inStaged:
		now, err := w.readStore() // the database gets it
		return now.devices[id].token, err
	}
	return token, err
}

// ask asks the copy that [world.readDatabase] made last.
func (w *world) ask(into *string, query string) error {
	db, err := sql.Open("sqlite", filepath.Join(w.beside, "copy", "copy.sqlite"))
	if err != nil {
		return err
	}
	return errors.Join(db.QueryRow(query).Scan(into), db.Close())
}

// report is what "seed --json" prints.
type report struct {
	Store   storeKind
	Devices []struct{ Name, DeviceID, Outcome string }
}

// reported: who is said to be paired is in the store, and who is not is not.
func (w *world) reported(stdout string, now stored) (faults []string) {
	if !slices.Contains(w.command, "seed") || !slices.Contains(w.command, "--json") {
		return nil
	}
	var said report
	if err := json.Unmarshal([]byte(stdout), &said); err != nil {
		return []string{"what was printed is no JSON: " + err.Error()}
	}
	if said.Store != w.store {
		faults = append(faults, "it says that the store is "+string(said.Store))
	}
	outcomes := map[string]string{}
	for _, device := range said.Devices {
		_, here := now.devices[device.DeviceID]
		gone := slices.Contains([]string{"revoked", "pruned", "retired"}, device.Outcome)
		if here == gone {
			faults = append(faults, fmt.Sprintf("it says %s of %s, which is in the store: %v", device.Outcome, device.Name, here))
		}
		if !gone {
			outcomes[device.Name] = device.Outcome
		}
	}
	for _, name := range w.in {
		if outcomes[name] == "" {
			faults = append(faults, "it says nothing good of "+name)
		}
	}
	return faults
}

// leftovers are files that no run may leave when all is well.
func (w *world) leftovers() (faults []string) {
	_ = filepath.WalkDir(w.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && (strings.HasSuffix(path, ".bootstrap-tmp") || entry.Name() == "exchange.json") {
			faults = append(faults, "it left "+strings.TrimPrefix(path, w.root))
		}
		return err
	})
	return faults
}

// explained: an error has a documented code that says what kind, and a next step that
// is for this fault.
func (w *world) explained(result ran, fault *injection) (faults []string) {
	noStart := w.command[0] == "run" && result.code == 126 // no descriptor, or no rights
	if result.code != 3 && result.code != 4 && !noStart {
		faults = append(faults, fmt.Sprintf("exit code %d", result.code))
	}
	var last struct {
		Level, Message, Hint string
		Exit                 int
	}
	for line := range strings.Lines(result.stderr) {
		if json.Unmarshal([]byte(line), &last) != nil {
			return append(faults, "it says what is no log line: "+line)
		}
	}
	if last.Level != "error" || last.Message == "" || last.Hint == "" || last.Exit != result.code {
		faults = append(faults, fmt.Sprintf("its last words: %+v", last))
	}
	if fault != nil && !hintFits(fault, last.Hint) {
		faults = append(faults, "its next step is for another fault: "+last.Hint)
	}
	return faults
}

func hintFits(fault *injection, hint string) bool {
	isDatabase := strings.Contains(fault.path, ".sqlite")
	words := map[kind][]string{ioError: {"dmesg"}, noSpace: {"full"}, full: {"full"}, torn: {"full"}, noFiles: {"nofile"}}[fault.kind]
	if isDatabase && (fault.kind != noFiles) {
		// SQLite says no more, and the next call would work.
		words = append(words, "dmesg", "does not lock", "rights")
		if strings.HasPrefix(fault.key, opLock) {
			words = append(words, "keeps it locked")
		}
	}
	return words == nil || slices.ContainsFunc(words, func(word string) bool { return strings.Contains(hint, word) })
}
