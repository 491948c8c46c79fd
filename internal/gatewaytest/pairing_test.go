package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

const (
	jsonEra   = "2026.5.28" // pairings live in devices/paired.json
	sqliteEra = "2026.9.6"  // pairings live in state/openclaw.sqlite, once it has started
)

// What bootstrap says in its log.
const (
	saysPaired    = "paired"
	saysUnchanged = "already paired, nothing changed"
	saysProven    = "ready: the pairing is proven"
	saysNotProven = "the pairing is NOT proven"
)

func onEachEra(t *testing.T, test func(t *testing.T, version string)) {
	t.Helper()
	gatewaytest.Install(t, jsonEra) // which skips all of it under -short
	for _, version := range []string{jsonEra, sqliteEra} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			test(t, version)
		})
	}
}

// The volume has booted and nobody has seeded it; the same gateway, and the
// same device, go through all that follows.
func TestRunningGatewayRefusesItsDeviceUntilThatIsSeeded(t *testing.T) {
	t.Parallel()
	onEachEra(t, func(t *testing.T, version string) {
		v := newVolume(t, version, gatewaytest.CopyState(t, version))
		// A JSON-era gateway has made its identity at its first start, a later one
		// has not: then this does.
		if made := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"identity", "create"}, Env: v.env()}); made.Code != 0 {
			t.Fatal(made.Stderr)
		}
		self := v.self(t)
		g := v.start(t)
		g.WaitReady(t)

		t.Run("unseeded, it is refused from elsewhere", func(t *testing.T) { v.refusedUnseeded(t, self) })
		t.Run("an unknown device with a made-up token is refused", v.refusedMadeUp)
		t.Run("seeded meanwhile, it is let in from elsewhere", func(t *testing.T) {
			v.seed(t, "--client", "agent-1").wantOutcomes(t, "self created", "agent-1 created")
			v.wantLetIn(t, self, fullScopes)
		})
		t.Run("seeded again, nothing changes", func(t *testing.T) {
			// The first time it notes that it found the devices in this store.
			v.seed(t, "--client", "agent-1")
			before := v.snapshot(t)
			v.seed(t, "--client", "agent-1").wantOutcomes(t, "self unchanged", "agent-1 unchanged")
			wantSame(t, withoutLastUse(before), withoutLastUse(v.snapshot(t)))
		})
		t.Run("a client's bundle is let in with read and write only", v.clientLetIn)
		t.Run("the official CLI without the gateway's token names the device", func(t *testing.T) { v.cliNames(t, self) })
		t.Run("a second run changes nothing and ends with 20", v.secondRun)
		t.Run("SIGTERM ends it", func(t *testing.T) {
			if code := g.Stop(t); code != 0 {
				t.Errorf("the gateway ended with %d", code)
			}
		})
	})
}

func (v volume) refusedUnseeded(t *testing.T, self string) {
	withToken := runProbe(t, v.remote, append(v.env(), "OPENCLAW_GATEWAY_TOKEN="+sharedToken),
		"--auth=shared", "--gateway-url", v.remoteURL())
	withToken.wantRefused(t, 12, "not-paired")
	if withToken.RequestID == "" || withToken.DeviceID != self || !strings.Contains(withToken.Message, "pairing required") {
		t.Errorf("not the refusal of a device that waits for approval: %+v", withToken)
	}
	v.probe(t, "--auth=device").wantRefused(t, 12, "not-paired")
}

// The negative control of the proof: were the token not looked at, or any
// device good enough on loopback, this one would come in.
func (v volume) refusedMadeUp(t *testing.T) {
	stranger := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
	stranger.seed(t).wantOutcomes(t, "self created")
	for _, from := range []struct {
		side string
		in   *gatewaytest.Remote
		url  string
	}{
		{"loopback", nil, fmt.Sprintf("ws://127.0.0.1:%d", v.port)},
		{"elsewhere", v.remote, v.remoteURL()},
	} {
		t.Run("from "+from.side, func(t *testing.T) {
			got := runProbe(t, from.in, stranger.env(), "--auth=device", "--gateway-url", from.url)
			got.wantRefused(t, 12, "not-paired")
			if got.Refusal.DetailCode != "AUTH_TOKEN_MISMATCH" {
				t.Errorf("refused for another reason: %+v", got)
			}
		})
	}
}

func (v volume) clientLetIn(t *testing.T) {
	bundle := v.bundle("agent-1")
	client := must(readIdentity(bundle))(t)
	v.wantLetIn(t, client, standardScopes, "--state-dir", bundle)

	wider := t.TempDir()
	if err := os.CopyFS(wider, os.DirFS(bundle)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(wider, "identity", "device-auth.json")
	text := string(must(os.ReadFile(path))(t))
	asked := strings.Replace(text, `"operator.read"`, `"operator.admin", "operator.read"`, 1)
	if asked == text {
		t.Fatal("the bundle has no scopes to widen")
	}
	if err := os.WriteFile(path, []byte(asked), 0o600); err != nil {
		t.Fatal(err)
	}
	v.probe(t, "--auth=device", "--state-dir", wider, "--wait", busy.String()).wantRefused(t, 13, "upgrade-wanted")
	v.wantLetIn(t, client, standardScopes, "--state-dir", bundle)
}

func (v volume) cliNames(t *testing.T, self string) {
	result := v.cli(t, "devices", "list", "--json")
	if result.Code != 0 {
		t.Fatalf("openclaw devices list ended with %d\n%s%s", result.Code, result.Stdout, result.Stderr)
	}
	var list struct {
		Paired []struct {
			DeviceID string
			Scopes   []string
		}
	}
	decode(t, result.Stdout, &list)
	for _, device := range list.Paired {
		if device.DeviceID == self && slices.Equal(slices.Sorted(slices.Values(device.Scopes)), fullScopes) {
			return
		}
	}
	t.Errorf("the device is not listed with its scopes: %s", result.Stdout)
}

func (v volume) secondRun(t *testing.T) {
	before := v.snapshot(t)
	argv := append([]string{"run", "--client", "late", "--"}, gatewaytest.Install(t, v.version)...)
	second := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: append(argv, "gateway", "--port", strconv.Itoa(v.port), "--bind", "lan"), Env: v.env(),
	})
	if second.Code != 20 {
		t.Errorf("the second run ended with %d\n%s", second.Code, second.Stderr)
	}
	wantSame(t, before, v.snapshot(t))
	v.wantLetIn(t, v.self(t), fullScopes)
}

func TestGatewayStartedOnAnEmptyFolderLetsTheDeviceInAndARestartKeepsIt(t *testing.T) {
	t.Parallel()
	onEachEra(t, func(t *testing.T, version string) {
		v := newVolume(t, version, t.TempDir())
		t.Run("supervised", func(t *testing.T) { v.firstLife(t, "supervise") })
		t.Run("started again, by exec", v.secondLife)
		t.Run("refused by the gateway, it is stopped by --require-paired", v.lastLife)
		execed := newVolume(t, version, t.TempDir())
		t.Run("by exec", func(t *testing.T) { execed.firstLife(t, "exec") })
	})
}

func (v volume) firstLife(t *testing.T, handover string) {
	g := v.run(t, "--handover="+handover)
	v.settled(t, g, handover)
	want := "json"
	if v.version == sqliteEra {
		want = "sqlite" // which the gateway has made meanwhile
		g.WaitOutput(t, saysProven)
	}
	if line := logged(t, g, saysPaired); line["store"] != want {
		t.Errorf("paired in %v, not in %s", line["store"], want)
	}
	v.wantLetIn(t, v.self(t), fullOf(v.version))
	v.endsWithTheGateway(t, g, handover)
}

func (v volume) secondLife(t *testing.T) {
	self, before := v.self(t), v.paired(t)
	if _, there := before[self]; !there {
		t.Fatalf("the device %s is not in the store any more", self)
	}
	g := v.run(t, "--handover=exec")
	v.settled(t, g, "exec")
	line := logged(t, g, saysUnchanged)
	if want := map[bool]string{false: "json", true: "sqlite"}[v.version == sqliteEra]; line["store"] != want {
		t.Errorf("found it in %v, not in %s", line["store"], want)
	}
	v.wantLetIn(t, self, fullOf(v.version))
	if now := v.self(t); now != self {
		t.Errorf("the device was %s and is %s", self, now)
	}
	if after := v.paired(t); !reflect.DeepEqual(after[self], before[self]) {
		t.Error("key, scopes, tokens or times of the device changed")
	}
	v.endsWithTheGateway(t, g, "exec")
}

// lastLife is on a store where the device is pinned to a platform that it does
// not have: only the gateway itself can know that it is not let in.
func (v volume) lastLife(t *testing.T) {
	v.pin(t, v.self(t))
	g := v.run(t, "--handover=supervise", "--require-paired")
	if code := g.Wait(t, patience); code != 13 {
		t.Errorf("it ended with %d", code)
	}
	g.WaitGone(t)
	if line := wantExit(t, g, "bootstrap", 13); line["gateway_code"] != float64(0) {
		t.Errorf("the gateway itself ended with %v", line["gateway_code"])
	}
}

// pin writes a platform into a device's entry, as an old gateway did.
func (v volume) pin(t *testing.T, deviceID string) {
	t.Helper()
	if v.migrated(t) {
		db := openDatabase(t, databaseOf(v.state))
		defer func() { _ = db.Close() }()
		must(db.Exec("UPDATE device_pairing_paired SET platform = 'darwin' WHERE device_id = ?", deviceID))(t)
		return
	}
	path := filepath.Join(v.state, "devices", "paired.json")
	var entries map[string]map[string]any
	decode(t, string(must(os.ReadFile(path))(t)), &entries)
	entries[deviceID]["platform"] = "darwin"
	if err := os.WriteFile(path, must(json.Marshal(entries))(t), 0o600); err != nil {
		t.Fatal(err)
	}
}

// settled waits until the gateway is up, and looks who is process g.
func (v volume) settled(t *testing.T, g *gatewaytest.Gateway, handover string) {
	t.Helper()
	want := "bootstrap"
	if handover == "exec" {
		want = "node"
		g.WaitReady(t)
	} else {
		g.WaitOutput(t, saysProven)
	}
	exe := must(os.Readlink(fmt.Sprintf("/proc/%d/exe", g.Pid())))(t)
	if filepath.Base(exe) != want {
		t.Errorf("under %s the process is %s", handover, exe)
	}
}

// endsWithTheGateway sends SIGTERM: a process that this killed would end with
// 143, a gateway that may tidy up ends with 0.
func (v volume) endsWithTheGateway(t *testing.T, g *gatewaytest.Gateway, handover string) {
	t.Helper()
	if code := g.Stop(t); code != 0 {
		t.Errorf("it ended with %d", code)
	}
	g.WaitGone(t)
	if handover == "supervise" {
		wantExit(t, g, "gateway", 0)
	}
}

// wantExit checks bootstrap's last words.
func wantExit(t *testing.T, g *gatewaytest.Gateway, source string, code int) map[string]any {
	t.Helper()
	line := logged(t, g, "exit")
	if line["source"] != source || line["code"] != float64(code) {
		t.Errorf("it ended with source %v, code %v; not %s, %d", line["source"], line["code"], source, code)
	}
	return line
}

// One volume, booted before and seeded while stopped, through three lives.
func TestBootedVolumeIsSeededAndARemovedDeviceStaysOut(t *testing.T) {
	t.Parallel()
	onEachEra(t, func(t *testing.T, version string) {
		v := newVolume(t, version, gatewaytest.CopyState(t, version))
		v.seed(t).wantOutcomes(t, "self created")
		self := v.self(t)

		t.Run("seeded while stopped, it is let in", func(t *testing.T) {
			g := v.run(t, "--handover=supervise", "--require-paired")
			v.settled(t, g, "supervise")
			logged(t, g, saysUnchanged)
			v.wantLetIn(t, self, fullScopes)
			v.removeThroughCLI(t, self)
			v.probe(t, "--auth=device").wantRefused(t, 12, "not-paired")
			v.endsWithTheGateway(t, g, "supervise")
		})
		t.Run("with --require-paired the gateway is stopped", func(t *testing.T) {
			g := v.run(t, "--handover=supervise", "--require-paired")
			if code := g.Wait(t, patience); code != 12 {
				t.Errorf("it ended with %d", code)
			}
			g.WaitGone(t)
			wantExit(t, g, "bootstrap", 12)
		})
		t.Run("without, it warns and goes on", func(t *testing.T) {
			g := v.run(t, "--handover=supervise")
			g.WaitOutput(t, saysNotProven)
			g.WaitReady(t)
			v.probe(t, "--auth=device").wantRefused(t, 12, "not-paired")
			if _, back := v.paired(t)[self]; back {
				t.Error("the removed device is back")
			}
			v.endsWithTheGateway(t, g, "supervise")
		})
	})
}

// removeThroughCLI removes the device as a person would, who has nothing but
// that very device.
func (v volume) removeThroughCLI(t *testing.T, deviceID string) {
	t.Helper()
	removed := v.cli(t, "devices", "remove", deviceID)
	if _, there := v.paired(t)[deviceID]; there {
		t.Fatalf("openclaw devices remove ended with %d, and the device is still there\n%s%s", removed.Code, removed.Stdout, removed.Stderr)
	}
}
