package seed_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/seed"
)

func fullOf(t *testing.T, version string) []string {
	t.Helper()
	parsed, err := gateway.ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	scopes, err := seed.Scopes("full", gateway.Release{Version: parsed, Known: true})
	if err != nil {
		t.Fatal(err)
	}
	return scopes
}

// An upgrade of the gateway brings scopes along; a downgrade, or a command that
// sees another package, takes none away and complains of none.
func TestFullGrowsWithTheReleaseOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		older, newer := fullOf(t, "2026.5.28"), fullOf(t, "2026.9.6")
		first, err := pairSelf(t, options(dir), older...)
		if err != nil || !slices.Equal(first.Scopes, older) {
			t.Fatalf("first: %+v, %v", first, err)
		}
		grown, err := pairSelf(t, options(dir), newer...)
		if err != nil || grown.Outcome != seed.Updated || !slices.Equal(grown.Scopes, newer) || grown.Token != first.Token {
			t.Errorf("after the upgrade: %+v, %v", grown, err)
		}
		kept, err := seed.ReadCredentials(t.Context(), options(dir))
		if err != nil || kept.Token != first.Token || !slices.Equal(kept.Scopes, newer) {
			t.Errorf("the CLI's own token has %v, %v", kept.Scopes, err)
		}
		before := snapshot(t, dir)
		for _, scopes := range [][]string{newer, older, newer} {
			again, err := pairSelf(t, options(dir), scopes...)
			if err != nil || again.Outcome != seed.Unchanged || len(again.Wider) > 0 || !slices.Equal(again.Scopes, newer) {
				t.Errorf("asked for %v: %+v, %v", scopes, again, err)
			}
			for path, content := range snapshot(t, dir) {
				if before[path] != content {
					t.Errorf("asked for %v, %s changed", scopes, filepath.Base(path))
				}
			}
		}
	})
}

func TestARemovedDeviceStaysOutThoughFullHasGrown(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		for range 2 {
			if _, err := pairSelf(t, options(dir), fullOf(t, "2026.7.35")...); err != nil {
				t.Fatal(err)
			}
		}
		remove(t, dir)
		result, err := pairSelf(t, options(dir), fullOf(t, "2026.9.6")...)
		if err != nil || result.Outcome != seed.Revoked {
			t.Errorf("got %+v, %v", result, err)
		}
	})
}

func TestAClientsPresetIsTheSameForEveryRelease(t *testing.T) {
	for _, preset := range []string{"standard", "read", "pairing"} {
		var want []string
		for _, version := range []string{"2026.1.29", "2026.5.28", "2026.9.6"} {
			parsed, err := gateway.ParseVersion(version)
			if err != nil {
				t.Fatal(err)
			}
			got, err := seed.Scopes(preset, gateway.Release{Version: parsed, Known: true})
			if err != nil || (want != nil && !slices.Equal(got, want)) {
				t.Errorf("%s of %s is %v, %v", preset, version, got, err)
			}
			want = got
		}
	}
}

// What has admin has nothing beyond it; anything else is compared literally.
func TestOnlyAdminStandsForMore(t *testing.T) {
	if got := seed.Beyond([]string{"operator.admin"}, fullOf(t, "2026.9.6")); got != nil {
		t.Errorf("beyond admin: %v", got)
	}
	if got := seed.Beyond([]string{"operator.write"}, []string{"operator.read", "operator.write"}); !slices.Equal(got, []string{"operator.read"}) {
		t.Errorf("beyond write: %v", got)
	}
}
