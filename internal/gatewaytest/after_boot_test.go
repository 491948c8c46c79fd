package gatewaytest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// Between "bootstrap run" and the gateway a wrapper does what wrappers do: it
// empties directories, and some volumes are restored beneath it. Whatever became of
// the files, the device is paired in the database that the boot makes, a device
// that was removed stays out, and the CLI beside the gateway works.
func TestPairedWhateverBecameOfTheFiles(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.8.2", "2026.9.6"} {
		for _, damage := range []string{"devices", "identity", "devices and identity"} {
			t.Run(version+" without "+damage, func(t *testing.T) {
				t.Parallel()
				newVolume(t, version, t.TempDir()).damagedBeforeBoot(t, damage)
			})
		}
	}
}

func (v volume) damagedBeforeBoot(t *testing.T, damage string) {
	v.seed(t, "--client", "keeper", "--client", "leaver")
	revoked := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"seed", "revoke", "leaver"}, Env: v.env()})
	if revoked.Code != 0 {
		t.Fatalf("bootstrap seed revoke ended with %d\n%s", revoked.Code, revoked.Stderr)
	}
	g := v.wrapped(t, func() {
		for _, name := range map[string][]string{
			"devices": {"devices"}, "identity": {"identity"}, "devices and identity": {"devices", "identity"},
		}[damage] {
			if err := os.RemoveAll(filepath.Join(v.state, name)); err != nil {
				t.Fatal(err)
			}
		}
	}, "--client", "keeper", "--client", "leaver")
	g.WaitOutput(t, saysProven)
	v.wantAllButLeaver(t)
	v.wantCLI(t)
	v.stopsWell(t, g)

	// The next start meets a row that has lost its token.
	g = v.wrapped(t, func() {
		db := openDatabase(t, databaseOf(v.state))
		defer func() { _ = db.Close() }()
		if _, err := db.Exec(`UPDATE device_pairing_paired SET tokens_json = NULL WHERE device_id = ?`, v.self(t)); err != nil {
			t.Fatal(err)
		}
	}, "--client", "keeper", "--client", "leaver")
	g.WaitOutput(t, saysProven)
	v.wantAllButLeaver(t)
	v.removeByOwner(t, must(readIdentity(v.bundle("keeper")))(t))
	v.stopsWell(t, g)

	g = v.run(t, "--handover=supervise", "--client", "keeper", "--client", "leaver")
	g.WaitOutput(t, saysProven)
	v.probe(t, "--auth=device", "--state-dir", v.bundle("keeper"), "--wait", busy.String()).wantRefused(t, 12, "not-paired")
	v.stopsWell(t, g)
}

// removeByOwner removes another device with the official CLI and the gateway's
// token: without that, a device removes itself alone.
func (v volume) removeByOwner(t *testing.T, deviceID string) {
	t.Helper()
	removed := v.cliWith(t, append(v.env(), "OPENCLAW_GATEWAY_TOKEN="+sharedToken), "devices", "remove", deviceID)
	if _, there := v.paired(t)[deviceID]; there {
		t.Fatalf("openclaw devices remove ended with %d, and the device is still there\n%s%s", removed.Code, removed.Stdout, removed.Stderr)
	}
}

// wrapped starts the gateway through a wrapper that does nothing until damage is
// done, and so after bootstrap has seeded.
func (v volume) wrapped(t *testing.T, damage func(), flags ...string) *gatewaytest.Gateway {
	t.Helper()
	dir := t.TempDir()
	wrapper := filepath.Join(dir, "wrapper")
	script := fmt.Sprintf("#!/bin/sh\ntouch %s/waits\nuntil [ -e %s/go ]; do sleep 0.1; done\nexec \"$@\"\n", dir, dir)
	if err := os.WriteFile(wrapper, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	prefix := append([]string{gatewaytest.Bootstrap(t), "run", "--handover=supervise"}, flags...)
	g := gatewaytest.Start(t, gatewaytest.Options{
		Version: v.version, StateDir: v.state, Port: v.port, Bind: "lan", Token: sharedToken,
		Prefix: append(prefix, "--", wrapper), Env: []string{"OPENCLAW_GATEWAY_PORT=" + strconv.Itoa(v.port)},
	})
	await(t, "the wrapper to start", func() bool {
		_, err := os.Stat(filepath.Join(dir, "waits"))
		return err == nil
	})
	damage()
	if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return g
}

func (v volume) wantAllButLeaver(t *testing.T) {
	t.Helper()
	v.wantLetIn(t, v.self(t), fullScopes)
	v.wantLetIn(t, must(readIdentity(v.bundle("keeper")))(t), standardScopes, "--state-dir", v.bundle("keeper"))
	v.probe(t, "--auth=device", "--state-dir", v.bundle("leaver"), "--wait", busy.String()).wantRefused(t, 12, "not-paired")
}

// wantCLI: the CLI beside the gateway, with no token of the gateway, gets a list.
func (v volume) wantCLI(t *testing.T) {
	t.Helper()
	if result := v.cli(t, "devices", "list", "--json"); result.Code != 0 {
		t.Errorf("openclaw devices list ended with %d\n%s%s", result.Code, result.Stdout, result.Stderr)
	}
}

func (v volume) stopsWell(t *testing.T, g *gatewaytest.Gateway) {
	t.Helper()
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
}

// 2026.9.5 reads no pairing files, and complains about those that it finds. All
// ways to start it end with a paired device and no complaint.
func TestAReleaseThatImportsNothingIsPaired(t *testing.T) {
	t.Parallel()
	const version = "2026.9.5"
	t.Run("supervised, from an empty volume", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t, version, t.TempDir())
		g := v.run(t, "--handover=supervise", "--require-paired", "--client", "keeper")
		g.WaitOutput(t, saysProven)
		v.wantNothingRefused(t, g)
	})
	t.Run("exec, from an empty volume", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t, version, t.TempDir())
		g := v.run(t, "--handover=exec", "--client", "keeper")
		g.WaitOutput(t, saysProven)
		v.wantNothingRefused(t, g)
		await(t, "the helper to end", func() bool { return !hasHelper(g) })
		v.stopsWell(t, g)
	})
	t.Run("after seed", func(t *testing.T) {
		t.Parallel()
		v := newVolume(t, version, t.TempDir())
		v.seed(t, "--client", "keeper")
		before := must(os.ReadFile(filepath.Join(v.bundle("keeper"), "env")))(t)
		g := v.run(t, "--handover=supervise", "--require-paired", "--client", "keeper")
		g.WaitOutput(t, saysProven)
		v.wantNothingRefused(t, g)
		if after := must(os.ReadFile(filepath.Join(v.bundle("keeper"), "env")))(t); string(after) != string(before) {
			t.Error("the client's token is another one than seed gave it")
		}
	})
}

// hasHelper tells whether a process looks after the gateway that took over.
func hasHelper(g *gatewaytest.Gateway) bool {
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range environs {
		env, _ := os.ReadFile(path)
		if slices.Contains(strings.Split(string(env), "\x00"), "_BOOTSTRAP_BESIDE="+strconv.Itoa(g.Pid())) {
			return true
		}
	}
	return false
}

func (v volume) wantNothingRefused(t *testing.T, g *gatewaytest.Gateway) {
	t.Helper()
	v.wantLetIn(t, v.self(t), fullScopes)
	v.wantLetIn(t, must(readIdentity(v.bundle("keeper")))(t), standardScopes, "--state-dir", v.bundle("keeper"))
	v.wantCLI(t)
	if strings.Contains(g.Output(), "require repair") {
		t.Error("the gateway complains about pairing files")
	}
	for _, name := range []string{"devices/paired.json", "bootstrap/staged.json"} {
		if _, err := os.Lstat(filepath.Join(v.state, name)); err == nil {
			t.Errorf("%s is there", name)
		}
	}
}

// A gateway that is ready after the deadline of the proof is proven all the same,
// and the ready file says so.
func TestAGatewayThatIsReadyTooLateIsProven(t *testing.T) {
	t.Parallel()
	v := newVolume(t, sqliteEra, t.TempDir())
	ready := filepath.Join(t.TempDir(), "ready")
	g := v.run(t, "--handover=supervise", "--prove-timeout=100ms", "--ready-file", ready)
	g.WaitOutput(t, "the pairing is NOT proven")
	g.WaitOutput(t, saysProven)
	await(t, "the ready file", func() bool { _, err := os.Stat(ready); return err == nil })
	v.wantLetIn(t, v.self(t), fullScopes)

	v.stopsWell(t, g)
	if _, err := os.Stat(ready); err == nil {
		t.Error("the ready file is still there")
	}
}
