package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// matrixReleases are those that CI runs; or, by BOOTSTRAP_MATRIX, "all" as
// "make matrix" has it, or any others with commas between them.
func matrixReleases() []string {
	switch chosen := os.Getenv("BOOTSTRAP_MATRIX"); chosen {
	case "":
		return []string{"2026.2.26", "2026.5.28", "2026.8.2", "2026.9.5", "2026.9.6"}
	case "all":
		return []string{"2026.2.26", "2026.3.13", "2026.4.29", "2026.5.28", "2026.7.35", "2026.8.2", "2026.9.5", "2026.9.6"}
	default:
		return strings.Split(chosen, ",")
	}
}

// Every release, and every way in which its volume is seeded or its gateway
// used. One volume of a release lives through all columns, in their order, but
// the last; scripts/matrix makes a table of it.
func TestMatrix(t *testing.T) {
	t.Parallel()
	gatewaytest.NeedGateway(t)
	for _, version := range matrixReleases() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			newMatrixRow(t, version).run(t)
		})
	}
}

// matrixRow is the volume of one release.
type matrixRow struct {
	volume
	lasting *testing.T        // a gateway lives longer than one column's test
	ids     map[string]string // by client
	self    string
	tokens  map[string]string // by device id
	gateway *gatewaytest.Gateway
	booted  bool   // the first boot ended with a proof
	removal string // why the CLI could not remove the leaver; empty where it did
}

func newMatrixRow(t *testing.T, version string) *matrixRow {
	return &matrixRow{lasting: t, volume: newVolume(t, version, t.TempDir()), ids: map[string]string{}, tokens: map[string]string{}}
}

// run goes through the columns. All that can fail belongs to one of them.
func (r *matrixRow) run(t *testing.T) {
	t.Run("seeded before first boot", r.firstBoot)
	if r.booted {
		r.live(t)
	}
	t.Run("seed then a plain gateway", r.seedThenPlain)
}

// live is the rest of the volume's life.
func (r *matrixRow) live(t *testing.T) {
	t.Logf("matrix: store %s", map[bool]string{false: "json", true: "sqlite"}[r.migrated(t)])
	t.Run("two scopes", func(t *testing.T) { r.wantClient(t, "first") })
	t.Run("CLI beside the gateway", r.cliBeside)
	t.Run("client bundle with the CLI", r.cliWithBundle)
	t.Run("seeded while running", func(t *testing.T) {
		r.seed(t, "--client", "running")
		r.know(t, "running")
		r.wantClient(t, "running")
		r.wantLetIn(t, r.self, fullScopes)
	})
	t.Run("seeded into a booted state", func(t *testing.T) {
		r.removeLeaver(t)
		r.stop(t)
		r.seed(t, "--client", "stopped")
		r.know(t, "stopped")
		r.restart(t)
		r.wantClient(t, "stopped")
	})
	t.Run("restarted three times", r.restarted)
	t.Run("removed and not brought back", r.staysRemoved)
}

func (r *matrixRow) firstBoot(t *testing.T) {
	r.seed(t, "--client", "first", "--client", "leaver", "--client", "keeper:full")
	r.self = must(readIdentity(r.state))(t)
	r.know(t, "first", "leaver", "keeper")
	// Started as a container starts it: after the first boot of 2026.8.2 it is
	// bootstrap that gives the CLI its token.
	r.gateway = r.volume.run(r.lasting, "--handover=supervise", "--require-paired",
		"--client", "first", "--client", "leaver", "--client", "keeper:full")
	r.gateway.WaitOutput(t, saysProven)
	r.booted = true
	r.wantLetIn(t, r.self, fullScopes)
}

func (r *matrixRow) restarted(t *testing.T) {
	for range 2 {
		r.stop(t)
		r.restart(t)
	}
	devices := r.paired(t)
	for id, token := range r.tokens {
		if devices[id].Tokens["operator"].Token != token {
			t.Errorf("%.12s has another token, or is gone", id)
		}
	}
	r.wantLetIn(t, r.self, fullScopes)
	r.wantClient(t, "first")
}

func (r *matrixRow) staysRemoved(t *testing.T) {
	defer r.stop(t)
	if r.removal != "" {
		t.Fatal(r.removal)
	}
	r.seed(t, "--client", "leaver")
	if r.token(t, r.ids["leaver"]) != "" {
		t.Error("the device is back in the store")
	}
	r.probe(t, "--auth=device", "--state-dir", r.bundle("leaver"), "--wait", busy.String()).wantRefused(t, 12, "not-paired")
}

// leavesFiles is what a release says that does not import pairings at its start.
const leavesFiles = "Legacy pairing stores require repair"

// seedThenPlain is an init container: "seed" on an empty volume, and a gateway
// without bootstrap. A release may refuse the device if it says that it leaves the
// files alone; the line "matrix: no" then makes the cell.
func (r *matrixRow) seedThenPlain(t *testing.T) {
	v := newVolume(t, r.version, t.TempDir())
	v.seed(t)
	// A copy of what the device has: the gateway may take the files away.
	device := t.TempDir()
	if err := os.CopyFS(filepath.Join(device, "identity"), os.DirFS(filepath.Join(v.state, "identity"))); err != nil {
		t.Fatal(err)
	}
	g := v.start(t)
	g.WaitReady(t)
	if got := v.probe(t, "--auth=device", "--state-dir", device, "--wait", busy.String()); got.ExitCode == 12 {
		got.wantRefused(t, 12, "not-paired")
		g.WaitOutput(t, leavesFiles)
		t.Logf("matrix: no: the gateway says %q", leavesFiles)
	} else {
		v.wantLetIn(t, must(readIdentity(device))(t), fullScopes, "--state-dir", device)
	}
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
}

// know takes down who is paired by which token.
func (r *matrixRow) know(t *testing.T, clients ...string) {
	t.Helper()
	r.tokens[r.self] = r.token(t, r.self)
	for _, client := range clients {
		id := must(readIdentity(r.bundle(client)))(t)
		r.ids[client], r.tokens[id] = id, r.token(t, id)
	}
}

func (r *matrixRow) wantClient(t *testing.T, client string) {
	t.Helper()
	r.wantLetIn(t, r.ids[client], standardScopes, "--state-dir", r.bundle(client))
}

// restart starts the gateway as a container does, with all clients.
func (r *matrixRow) restart(t *testing.T) {
	t.Helper()
	r.gateway = r.volume.run(r.lasting, "--handover=supervise", "--require-paired",
		"--client", "first", "--client", "leaver", "--client", "keeper:full", "--client", "running", "--client", "stopped")
	r.gateway.WaitOutput(t, saysProven)
}

func (r *matrixRow) stop(t *testing.T) {
	t.Helper()
	if code := r.gateway.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
}

// cliBeside has nothing but the state directory: no gateway token anywhere.
func (r *matrixRow) cliBeside(t *testing.T) {
	r.wantListed(t, r.cli(t, "devices", "list", "--json"), r.self)
}

// cliWithBundle is the CLI of this release with a client's bundle and no gateway
// token. Up to 2026.7.35 it takes the bundle as its state directory. Later ones
// read no such files, and refuse the device token where the gateway's belongs:
// what they take is key and token in a database that the CLI itself has made,
// into which "bootstrap identity import BUNDLE" puts them.
func (r *matrixRow) cliWithBundle(t *testing.T) {
	directory := t.TempDir()
	env := []string{"OPENCLAW_STATE_DIR=" + directory, r.env()[1]}
	if !r.migrated(t) {
		if err := os.CopyFS(directory, os.DirFS(r.bundle("keeper"))); err != nil {
			t.Fatal(err)
		}
	} else {
		r.importBundle(t, "keeper", env)
	}
	r.wantListed(t, r.cliWith(t, env, "devices", "list", "--json"), r.ids["keeper"])
}

func (r *matrixRow) importBundle(t *testing.T, client string, env []string) {
	t.Helper()
	made := gatewaytest.Run(t, gatewaytest.Command{
		Argv: append(gatewaytest.Install(t, r.version), "config", "set", "gateway.mode", "local"), Env: env,
	})
	if made.Code != 0 {
		t.Fatalf("openclaw config set ended with %d\n%s", made.Code, made.Stderr)
	}
	imported := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: []string{"identity", "import", r.bundle(client)}, Env: env,
	})
	if imported.Code != 0 {
		t.Fatalf("bootstrap identity import ended with %d\n%s", imported.Code, imported.Stderr)
	}
}

// wantListed: the CLI was let in, as a device that the list has with all scopes.
// Only one of operator.pairing or more gets a list at all.
func (r *matrixRow) wantListed(t *testing.T, result gatewaytest.Result, deviceID string) {
	t.Helper()
	var list struct {
		Paired []struct {
			DeviceID string
			Scopes   []string
		}
	}
	if result.Code != 0 || json.Unmarshal([]byte(result.Stdout), &list) != nil {
		t.Fatalf("openclaw devices list ended with %d\n%s%s", result.Code, result.Stdout, result.Stderr)
	}
	for _, device := range list.Paired {
		if device.DeviceID == deviceID && slices.Equal(slices.Sorted(slices.Values(device.Scopes)), fullScopes) {
			return
		}
	}
	t.Errorf("%.12s is not listed with its scopes: %s", deviceID, result.Stdout)
}

// removeLeaver removes a client with the official CLI, as a person would. What
// goes wrong with that is told by the column that needs it.
func (r *matrixRow) removeLeaver(t *testing.T) {
	t.Helper()
	result := r.cliWith(t, append(r.env(), "OPENCLAW_GATEWAY_TOKEN="+sharedToken), "devices", "remove", r.ids["leaver"])
	if r.token(t, r.ids["leaver"]) != "" {
		r.removal = fmt.Sprintf("openclaw devices remove ended with %d, and the device is still there\n%s", result.Code, strings.TrimSpace(result.Stdout+result.Stderr))
		return
	}
	delete(r.tokens, r.ids["leaver"])
}
