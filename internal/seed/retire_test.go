package seed_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// startsAnew is a start that finds no bundle: the client gets a new key.
func startsAnew(t *testing.T, options seed.Options, name string) (seed.Device, seed.Result) {
	t.Helper()
	made := device(t, name, newIdentity(t), false, "operator.read")
	made.Made = true
	return made, pairOne(t, options, made)
}

func pairOne(t *testing.T, options seed.Options, wanted seed.Device) (result seed.Result) {
	t.Helper()
	err := withSession(t, options, func(session *seed.Session) error {
		results, err := session.Pair(context.Background(), wanted)
		if err == nil {
			result = results[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// present are the ids in the store.
func present(t *testing.T, options seed.Options) (ids []string) {
	t.Helper()
	survey, err := seed.Take(context.Background(), options)
	if err != nil {
		t.Fatal(err)
	}
	for _, seen := range survey.Devices {
		if seen.Present {
			ids = append(ids, seen.DeviceID)
		}
	}
	slices.Sort(ids)
	return ids
}

func TestABundleThatIsMadeAnewRetiresTheKeysBeforeIt(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		other, _ := startsAnew(t, options(dir), "agent-2")
		var before seed.Device
		for i := range 5 {
			made, result := startsAnew(t, options(dir), "agent-1")
			if want := i > 0; (len(result.Retired) == 1) != want || want && result.Retired[0] != before.ID() {
				t.Errorf("start %d retired %v, not %s", i, result.Retired, before.ID())
			}
			if want := []string{other.ID(), made.ID()}; !slices.Equal(present(t, options(dir)), sorted(want)) {
				t.Errorf("start %d: %v are paired, not %v", i, present(t, options(dir)), want)
			}
			before = made
		}
		if n := strings.Count(read(t, filepath.Join(seed.Dir(dir), "audit.jsonl")), `"action":"retired","name":"agent-1"`); n != 4 {
			t.Errorf("%d audit lines, not 4", n)
		}
		// Retired is not removed.
		if result := pairOne(t, options(dir), before); result.Outcome != seed.Unchanged || len(result.Retired) > 0 {
			t.Errorf("a start that finds the bundle: %+v", result)
		}
	})
}

func sorted(ids []string) []string {
	slices.Sort(ids)
	return ids
}

func TestNoKeyIsRetiredButThoseThatBootstrapMade(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		brought := device(t, "agent-1", newIdentity(t), false, "operator.read")
		pairOne(t, options(dir), brought)
		self, err := pairSelf(t, options(dir), "operator.read")
		if err != nil {
			t.Fatal(err)
		}
		made, result := startsAnew(t, options(dir), "agent-1")
		if len(result.Retired) > 0 {
			t.Errorf("retired %v", result.Retired)
		}
		// Nor does a key that the client brings take the place of one that was made.
		second := device(t, "agent-1", newIdentity(t), false, "operator.read")
		if result := pairOne(t, options(dir), second); len(result.Retired) > 0 {
			t.Errorf("a brought key retired %v", result.Retired)
		}
		want := sorted([]string{brought.ID(), self.DeviceID, made.ID(), second.ID()})
		if got := present(t, options(dir)); !slices.Equal(got, want) {
			t.Errorf("paired are %v, not %v", got, want)
		}
	})
}

// The next key of a client whose device somebody removed must not come in its
// place, whether or not a run has noticed the removal.
func TestANewKeyOfARemovedClientStaysOut(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		startsAnew(t, options(dir), "agent-1")
		remove(t, dir)
		for range 2 {
			if _, result := startsAnew(t, options(dir), "agent-1"); result.Outcome != seed.Revoked {
				t.Errorf("got %+v", result)
			}
		}
		again := device(t, "agent-1", newIdentity(t), false, "operator.read")
		again.Made, again.Reseed = true, true
		if result := pairOne(t, options(dir), again); result.Outcome != seed.Created {
			t.Errorf("reseeded: %+v", result)
		}
		if _, result := startsAnew(t, options(dir), "agent-1"); result.Outcome != seed.Created || !slices.Equal(result.Retired, []string{again.ID()}) {
			t.Errorf("after that: %+v", result)
		}
	})
}

// A JSON-era gateway that runs may write back what it had read before.
func TestARetiredKeyThatAGatewayBringsBackIsRetiredAgain(t *testing.T) {
	dir := t.TempDir()
	live := options(dir)
	live.Live = func(context.Context, seed.Credentials) bool { return true }
	first, _ := startsAnew(t, live, "agent-1")
	path := filepath.Join(dir, "devices", "paired.json")
	before := read(t, path)
	connects := 0
	live.Live = func(context.Context, seed.Credentials) bool {
		if connects++; connects == 1 {
			gatewayWrites(t, dir, before)
		}
		return true
	}
	second, result := startsAnew(t, live, "agent-1")
	if !slices.Equal(result.Retired, []string{first.ID()}) {
		t.Fatalf("retired %v", result.Retired)
	}
	if connects != 2 {
		t.Errorf("%d connects, not one more after the write of the gateway", connects)
	}
	if got := present(t, live); !slices.Equal(got, []string{second.ID()}) {
		t.Errorf("paired are %v", got)
	}
}

func TestAKeyThatIsStagedIsRetiredToo(t *testing.T) {
	dir := t.TempDir()
	startsAnew(t, staging(dir), "agent-1")
	startsAnew(t, staging(dir), "agent-1")
	firstBoot(t, dir)
	made, _ := startsAnew(t, staging(dir), "agent-1")
	if got := present(t, staging(dir)); !slices.Equal(got, []string{made.ID()}) {
		t.Errorf("paired are %v, not %s", got, made.ID())
	}
	if exists(filepath.Join(dir, "bootstrap", "staged.json")) {
		t.Error("a staged entry is still there")
	}
}
