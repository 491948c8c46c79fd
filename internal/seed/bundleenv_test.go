package seed_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

func TestTheVariablesOfABundleKeepWhatSomebodyHasAdded(t *testing.T) {
	bundle := seed.Bundle{Dir: t.TempDir()}
	result := seed.Result{Name: "agent-1", DeviceID: strings.Repeat("a", 64), Token: "one"}
	if err := bundle.Finish(result, "ws://gateway:18789"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(bundle.Dir, "env")
	before := read(t, path)
	write(t, path, "MINE=1\n"+before+"# and this\nOPENCLAW_AGENT=x") // without a last line end
	kind := seed.ClientKind{Platform: "darwin", Mode: "ui"}
	if err := bundle.Describe(kind); err != nil {
		t.Fatal(err)
	}
	result.Token = "two"
	if err := bundle.Finish(result, "ws://gateway:18789"); err != nil {
		t.Fatal(err)
	}
	want := "MINE=1\n" + strings.Replace(before, "TOKEN=one", "TOKEN=two", 1) +
		"# and this\nOPENCLAW_AGENT=x\nBOOTSTRAP_CLIENT_PLATFORM=darwin\nBOOTSTRAP_CLIENT_MODE=ui\n"
	if got := read(t, path); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if got, err := bundle.Kind(); err != nil || got != kind {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestWhatAShellWouldRunIsNoDescriptionOfAClient(t *testing.T) {
	for _, wrong := range []string{"$(id)", "a b", "a\nb", "`id`", "a;b", "'a'", strings.Repeat("a", 65)} {
		bundle := seed.Bundle{Dir: t.TempDir()}
		if bundle.Describe(seed.ClientKind{Platform: wrong}) == nil {
			t.Errorf("%q was taken", wrong)
		}
		if _, err := os.Stat(filepath.Join(bundle.Dir, "env")); err == nil {
			t.Errorf("%q was written", wrong)
		}
	}
}
