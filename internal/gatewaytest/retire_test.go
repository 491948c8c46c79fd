package gatewaytest_test

import (
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// A client whose bundle was lost has one key that works, at any moment: the old one
// or the new one. And the next start, which finds the bundle, takes nothing of that
// for a removal.
func TestAKilledRunRetiresAKeyTogetherWithPairingTheNext(t *testing.T) {
	agents := func(v volume) (ids []string) {
		for id, text := range must(readPaired(v.state))(t) {
			var device struct{ DisplayName string }
			if decode(t, string(text), &device); device.DisplayName == "bootstrap: agent" {
				ids = append(ids, id)
			}
		}
		return ids
	}
	v := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
	v.seed(t, "--client", "agent")
	var old, fresh int
	for n := 1; ; n++ {
		before := agents(v)
		if err := os.RemoveAll(v.bundle("agent")); err != nil {
			t.Fatal(err)
		}
		killed := killBeforeCall(t, v.command(t, "agent"), n)
		switch after := agents(v); {
		case len(after) != 1:
			t.Fatalf("killed before call %d: %d keys are paired", n, len(after))
		case slices.Equal(after, before):
			old++
		default:
			fresh++
		}
		v.seed(t, "--client", "agent").wantOutcome(t, "agent", "created", "unchanged")
		if got := agents(v); len(got) != 1 || got[0] != must(readIdentity(v.bundle("agent")))(t) {
			t.Fatalf("killed before call %d, and started again: %v are paired", n, got)
		}
		v.wantNoLitter(t)
		v.wantOneLedgerKey(t)
		if t.Failed() {
			t.Fatalf("when it was killed before call %d", n)
		}
		if !killed {
			break
		}
	}
	if old == 0 || fresh == 0 {
		t.Errorf("%d kills left the old key and %d the new one: this shows nothing", old, fresh)
	}
}

// wantOutcome checks how it went with one device.
func (s seeded) wantOutcome(t *testing.T, name string, want ...string) {
	t.Helper()
	for _, device := range s.Devices {
		if device.Name == name && device.Outcome != "retired" && !slices.Contains(want, device.Outcome) {
			t.Errorf("%s is %s, not one of %s", name, device.Outcome, strings.Join(want, ", "))
		}
	}
}

// wantOneLedgerKey checks that the ledger knows one key of the client, too.
func (v volume) wantOneLedgerKey(t *testing.T) {
	t.Helper()
	var ledger struct {
		Devices map[string]struct{ Name string }
	}
	if err := json.Unmarshal(must(os.ReadFile(v.state+"/bootstrap/ledger.json"))(t), &ledger); err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, device := range ledger.Devices {
		if device.Name == "agent" {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the ledger knows %d keys of the client", n)
	}
}
