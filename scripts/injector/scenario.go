//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
)

// scenario is one command on a volume, and what has to be true when it says that
// all is well.
type scenario struct {
	name   string
	stores []storeKind
	// empty: the state directory is not there, nor is its parent.
	empty bool
	// alone: nobody else's devices are in the file.
	alone bool
	// late: the database is made by prepare.
	late bool
	// elsewhere: the bundles are in a directory of their own.
	elsewhere bool
	// live: a gateway serves the file meanwhile.
	live bool
	env  []string
	// setup runs before, untraced; then comes prepare.
	setup   [][]string
	prepare func(*world) error
	command []string
	// success is its exit code; a gateway that was started has its own.
	success int
	// in and out are the names that are then in the store, and not.
	in, out []string
	// renewed are the names whose token is then another one.
	renewed []string
	// also is what else is then wrong.
	also func(*world) []string
	// settle is a later start, which then changes nothing.
	settle []string
}

func seedOf(words ...string) []string { return append([]string{"seed", "--json"}, words...) }

// scenarios are the commands that change a volume.
func scenarios() []scenario {
	all := []storeKind{inFiles, inStaged, inDatabase}
	both := []storeKind{inFiles, inDatabase}
	fresh := both
	if os.Getenv("FAULTS_DATABASE") != "" {
		fresh = []storeKind{inFiles} // the gateway has made itself an identity there
	}
	one, two := seedOf("--client", "agent-1"), seedOf("--client", "agent-1", "--client", "agent-2")
	// So many that their bundles are written together.
	names, many := []string{"self"}, seedOf()
	for i := range 9 {
		name := fmt.Sprintf("agent-%d", i+1)
		names, many = append(names, name), append(many, "--client", name)
	}
	away := seedOf("--client", "agent-1:read", "--bundle-dir", "$BUNDLES", "--client-url", "ws://gateway:18789")
	return []scenario{
		{name: "first seed", stores: all, command: one, in: []string{"self", "agent-1"}, settle: one},
		{name: "empty volume", stores: []storeKind{inFiles, inStaged}, empty: true, command: one, in: []string{"self", "agent-1"}, settle: one},
		{name: "second client", stores: all, setup: [][]string{one}, command: two, in: []string{"self", "agent-1", "agent-2"}, settle: two},
		{name: "rotate", stores: all, setup: [][]string{one}, command: []string{"seed", "rotate", "agent-1"},
			in: []string{"self", "agent-1"}, renewed: []string{"agent-1"}, settle: one},
		{name: "rotate self", stores: all, setup: [][]string{one}, command: []string{"seed", "rotate", "self"},
			in: []string{"self", "agent-1"}, renewed: []string{"self"}, settle: one},
		{name: "revoke", stores: all, setup: [][]string{one}, command: []string{"seed", "revoke", "agent-1"},
			in: []string{"self"}, out: []string{"agent-1"}, settle: one},
		{name: "prune", stores: all, setup: [][]string{two}, command: seedOf("--client", "agent-1", "--prune"),
			in: []string{"self", "agent-1"}, out: []string{"agent-2"}, settle: one},
		{name: "reseed", stores: all, setup: [][]string{one, {"seed", "revoke", "agent-1"}}, command: seedOf("--client", "agent-1", "--reseed", "agent-1"),
			in: []string{"self", "agent-1"}, renewed: []string{"agent-1"}, settle: one},
		{name: "import a key", stores: fresh, command: []string{"identity", "import", "--json", "$OUT/key"}, also: (*world).imported},
		{name: "import a bundle", stores: fresh, prepare: makeBundle, command: []string{"identity", "import", "--json", "$OUT/cli"}, also: (*world).importedBundle},
		{name: "bundles", stores: all, elsewhere: true, command: away, in: []string{"self", "agent-1"}, settle: away},
		{name: "many bundles", stores: both, command: many, in: names, settle: many},
		{name: "lost bundle", stores: all, elsewhere: true, setup: [][]string{away}, prepare: loseBundle, command: away,
			in: []string{"self", "agent-1"}, renewed: []string{"agent-1"}, settle: away},
		{name: "run, exec", stores: both, env: []string{"BOOTSTRAP_CLIENTS=agent-1"}, success: 7,
			command: []string{"run", "--handover", "exec", "--", "$OUT/2026.9.6/openclaw", "gateway", "--allow-unconfigured"},
			in:      []string{"self", "agent-1"}, settle: one},
		{name: "run, supervise", stores: []storeKind{inDatabase}, env: []string{"BOOTSTRAP_CLIENTS=agent-1"}, success: 7,
			command: []string{"run", "--handover", "supervise", "--", "$OUT/2026.9.6/openclaw", "gateway", "--allow-unconfigured"},
			in:      []string{"self", "agent-1"}, settle: one},
		// Whose gateway makes the key of the directory's own device.
		{name: "run, empty volume", stores: []storeKind{inStaged}, env: []string{"BOOTSTRAP_CLIENTS=agent-1"}, success: 7,
			command: []string{"run", "--handover", "supervise", "--", "$OUT/2026.9.6/openclaw", "gateway", "--allow-unconfigured"},
			in:      []string{"agent-1"}, settle: []string{"run", "--gateway-package", "$OUT/2026.9.6", "--handover", "supervise", "--", "true"}},
		{name: "run, key given", stores: []storeKind{inStaged}, env: []string{"BOOTSTRAP_CLIENTS=agent-1"}, success: 7,
			command: []string{"run", "--identity-file", "$OUT/key", "--handover", "supervise", "--", "$OUT/2026.9.6/openclaw", "gateway", "--allow-unconfigured"},
			in:      []string{"self", "agent-1"}, also: (*world).imported, settle: one},
		{name: "withdraw", stores: []storeKind{inStaged}, alone: true, env: []string{"BOOTSTRAP_CLIENTS=agent-1"}, setup: [][]string{{"seed", "--gateway-package", "$OUT/2026.7.1", "--client", "agent-1"}},
			command: []string{"run", "--handover", "exec", "--", "$OUT/2026.9.5/openclaw", "gateway", "--allow-unconfigured"},
			success: 7, in: []string{"self", "agent-1"}, settle: one},
		{name: "unstage", stores: []storeKind{inDatabase}, late: true, setup: [][]string{{"seed", "--gateway-package", "$OUT/2026.9.5", "--client", "agent-1"}},
			prepare: (*world).makeDatabase, command: one, in: []string{"self", "agent-1"}, settle: one},
		{name: "beside a gateway", stores: []storeKind{inFiles}, live: true, setup: [][]string{one}, prepare: (*world).openGateway,
			command: two, in: []string{"self", "agent-1", "agent-2"}, settle: two},
		{name: "rotate beside one", stores: []storeKind{inFiles}, live: true, setup: [][]string{one}, prepare: (*world).openGateway,
			command: []string{"seed", "rotate", "agent-1"}, in: []string{"self", "agent-1"}, renewed: []string{"agent-1"}, settle: one},
		{name: "link", stores: []storeKind{inDatabase}, setup: [][]string{one}, command: []string{"link", "--json"},
			in: []string{"self", "agent-1"}, settle: one},
		{name: "approval", stores: both, setup: [][]string{one}, env: []string{"OPENCLAW_GATEWAY_TOKEN=gateway-secret"},
			prepare: (*world).openGateway, command: []string{"approve", "--watch", "--approve=first", "--approve-max", "1", "--gateway-url", "$URL"},
			in: []string{"self", "agent-1"}, success: 13, settle: one},
	}
}

// importedID is the device id of the key in $OUT/key.
const importedID = "56475aa75463474c0285df5dbf2bcab73da651358839e9b77481b2eab107708c"

func (w *world) imported() []string { return w.hasIdentity(importedID) }

// hasIdentity tells whether that is the device of the state directory.
func (w *world) hasIdentity(wanted string) []string {
	id, err := w.selfID()
	if err != nil || id != wanted {
		return []string{fmt.Sprintf("the identity is %q and not the one that was imported, %v", id, err)}
	}
	return nil
}

func makeBundle(w *world) error {
	if err := w.must([]string{"seed", "--state-dir", "$OUT/other", "--bundle-dir", "$OUT/clients", "--client", "agent-1"}); err != nil {
		return err
	}
	return os.Rename(filepath.Join(w.beside, "clients", "agent-1"), filepath.Join(w.beside, "cli"))
}

func (w *world) importedBundle() []string {
	given, err := readIdentity(filepath.Join(w.beside, "cli"))
	if err != nil {
		return []string{err.Error()}
	}
	token, err := localToken(filepath.Join(w.beside, "cli"))
	kept, keptErr := w.selfToken(given.DeviceID)
	if err != nil || keptErr != nil || token == "" || kept != token {
		return append(w.hasIdentity(given.DeviceID), fmt.Sprintf("the device token is not the bundle's: %v %v", err, keptErr))
	}
	return w.hasIdentity(given.DeviceID)
}

func loseBundle(w *world) error { return os.RemoveAll(filepath.Join(w.root, "bundles")) }
