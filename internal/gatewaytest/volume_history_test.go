package gatewaytest_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// token is the operator's token of a device in the store; empty where there is
// no such device.
func (v volume) token(t *testing.T, deviceID string) string {
	t.Helper()
	return v.paired(t)[deviceID].Tokens["operator"].Token
}

// One volume goes from release to release, each time started as a container is:
// by "bootstrap run" with the same clients. Nobody runs a doctor.
func TestAVolumeKeepsItsDevicesThroughUpgradesAndADowngrade(t *testing.T) {
	t.Parallel()
	gatewaytest.Install(t, "2026.9.6") // which skips all of it under -short
	for _, path := range [][]string{
		{"2026.5.28", "2026.9.6", "2026.9.6", "2026.5.28"},
		{"2026.7.35", "2026.8.2", "2026.9.6"},
	} {
		t.Run(strings.Join(path, " to "), func(t *testing.T) {
			t.Parallel()
			h := history{volume: newVolume(t, path[0], t.TempDir())}
			for i, version := range path {
				h.version = version
				h.downgraded = i > 0 && path[i-1] > version
				t.Run(fmt.Sprintf("%d on %s", i+1, version), func(t *testing.T) { h.life(t, i) })
				if len(h.tokens) == 0 {
					t.Fatal("there is nothing that could be kept")
				}
			}
		})
	}
}

// history is a volume and what must stay true of it.
type history struct {
	volume
	self   string
	ids    map[string]string // device ids, by client
	tokens map[string]string // by device id
	gone   []string          // clients that were removed, in this order
}

// historyClients are seeded at every start: one stays, the others are removed.
var historyClients = []string{"stays", "leaves-first", "leaves-second"}

// life is one start of the gateway. In the first two a client is removed with
// the official CLI; before the third, older tools leave things behind.
func (h *history) life(t *testing.T, number int) {
	if number == 2 {
		h.dropLeftovers(t)
	}
	flags := []string{"--handover=supervise"}
	for _, client := range historyClients {
		flags = append(flags, "--client", client)
	}
	g := h.run(t, flags...)
	g.WaitOutput(t, saysProven)
	if number == 0 {
		h.remember(t)
	}
	if got := h.volume.self(t); got != h.self {
		t.Errorf("the device was %s and is %s", h.self, got)
	}
	for _, id := range []string{h.self, h.ids["stays"]} {
		if token := h.token(t, id); token == "" {
			t.Errorf("%s is not in the store", id)
		} else if h.downgraded {
			// The files are long gone, and what the database holds is not read by this
			// release: paired anew, by the same keys.
			t.Logf("after the downgrade %.12s has its old token: %v", id, token == h.tokens[id])
		} else if token != h.tokens[id] {
			t.Errorf("%s has another token", id)
		}
	}
	// Only with the release known it is the files that count again.
	release := filepath.Dir(gatewaytest.Install(t, h.version)[1])
	h.wantLetIn(t, h.self, fullOf(h.version), "--gateway-package", release)
	h.wantLetIn(t, h.ids["stays"], standardScopes, "--state-dir", h.bundle("stays"))
	if number < 2 {
		h.removeNext(t)
	}
	for _, client := range h.gone {
		h.probe(t, "--auth=device", "--state-dir", h.bundle(client), "--wait", busy.String()).wantRefused(t, 12, "not-paired")
		if h.token(t, h.ids[client]) != "" {
			t.Errorf("%s was removed and is back", client)
		}
	}
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
}

func (h *history) remember(t *testing.T) {
	h.self = h.volume.self(t)
	h.ids, h.tokens = map[string]string{}, map[string]string{h.self: h.token(t, h.self)}
	for _, client := range historyClients {
		id := must(readIdentity(h.bundle(client)))(t)
		h.ids[client], h.tokens[id] = id, h.token(t, id)
	}
}

// removeNext removes a client as a person would, with the CLI beside the
// gateway. That needs the gateway's token: with the device token alone a device
// may remove itself only ("device pairing removal denied", 2026.5.28, 2026.7.35).
func (h *history) removeNext(t *testing.T) {
	client := historyClients[len(h.gone)+1]
	result := gatewaytest.Run(t, gatewaytest.Command{
		Argv: append(gatewaytest.Install(t, h.version), "devices", "remove", h.ids[client]),
		Env:  append(h.env(), "OPENCLAW_GATEWAY_TOKEN="+sharedToken),
	})
	if h.token(t, h.ids[client]) != "" {
		t.Fatalf("openclaw devices remove ended with %d, and %s is still there\n%s%s", result.Code, client, result.Stdout, result.Stderr)
	}
	h.gone = append(h.gone, client)
}

// dropLeftovers puts another device's files beside the database, as a tool for
// older releases does. What the migration left is there too.
func (h *history) dropLeftovers(t *testing.T) {
	if _, err := os.Stat(filepath.Join(h.state, "devices", "paired.json.migrated")); err != nil {
		t.Error(err)
	}
	other := volume{state: t.TempDir(), port: h.port + 1}
	other.seed(t)
	for _, path := range []string{"identity/device.json", "identity/device-auth.json", "devices/paired.json"} {
		// They end with this life: to an older release they would be the truth.
		t.Cleanup(func() { _ = os.Remove(filepath.Join(h.state, path)) })
		data := must(os.ReadFile(filepath.Join(other.state, path)))(t)
		to := filepath.Join(h.state, path)
		if err := os.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(to, data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// "openclaw config set" on an empty directory makes a database that has all
// tables, no identity and no device.
func TestADatabaseThatConfigSetMadeIsSeeded(t *testing.T) {
	t.Parallel()
	v := newVolume(t, sqliteEra, t.TempDir())
	for _, setting := range [][]string{{"gateway.mode", "local"}, {"plugins.enabled", "false"}} {
		if result := v.cli(t, "config", "set", setting[0], setting[1]); result.Code != 0 {
			t.Fatalf("openclaw config set ended with %d\n%s", result.Code, result.Stderr)
		}
	}
	if _, err := os.Stat(databaseOf(v.state)); err != nil {
		t.Fatalf("it made no database: %v", err)
	}
	if got := v.seed(t, "--client", "agent-1"); got.Store != "sqlite" {
		t.Errorf("seeded into %s", got.Store)
	}
	self, token := v.self(t), v.token(t, v.self(t))
	if _, err := os.Lstat(filepath.Join(v.state, "identity")); err == nil {
		t.Error("files were made beside the database")
	}
	g := v.run(t, "--handover=supervise", "--require-paired", "--client", "agent-1")
	g.WaitOutput(t, saysProven)
	logged(t, g, saysUnchanged)
	if v.self(t) != self || v.token(t, self) != token {
		t.Error("the gateway's first start made another device or token")
	}
	v.wantLetIn(t, self, fullScopes)
	v.wantLetIn(t, must(readIdentity(v.bundle("agent-1")))(t), standardScopes, "--state-dir", v.bundle("agent-1"))
	v.endsWithTheGateway(t, g, "supervise")

	t.Run("emptied, it is seeded again", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(v.state, "state")); err != nil {
			t.Fatal(err)
		}
		v.seed(t, "--client", "agent-1").wantOutcomes(t, "self created", "agent-1 created")
	})
}
