package cli_test

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// A gateway that runs as root, with bundles on somebody else's volume: that
// somebody can put a link on the way at any moment.

// bundlesOf makes root's state directory, and another user's for bundles.
const bundlesOf = `chown 0 "$TARGET"; chmod 755 "$TARGET"; chown -R 0:0 "$VOLUME"; chmod 700 "$VOLUME"
	mkdir "$TARGET/agents" "$TARGET/roots"; chown 1000:1000 "$TARGET/agents"; chmod 700 "$TARGET/roots"; `

func TestRootWritesNoBundleThroughALinkInAnotherUsersDirectory(t *testing.T) {
	for name, plant := range map[string]string{
		"the directory for bundles": `ln -s ../roots "$TARGET/agents/bundles"`,
		"one above it":              `ln -s ../roots "$TARGET/agents/x"; DIR=$TARGET/agents/x/bundles`,
		"the bundle":                `mkdir "$TARGET/agents/bundles"; ln -s ../../roots "$TARGET/agents/bundles/b"`,
		"a directory in the bundle": `mkdir -p "$TARGET/agents/bundles/b"; ln -s ../../../roots "$TARGET/agents/bundles/b/identity"`,
	} {
		for _, command := range []string{"seed --client b", "join --name b"} {
			t.Run(name+", "+command, func(t *testing.T) {
				t.Parallel()
				v := newVolume(t)
				v.sh(t, bundlesOf+plant+`; chown -hR 1000:1000 "$TARGET/agents"; printf keep >"$TARGET/roots/kept"`)
				before := tree(t, v.target+"/roots")
				code, out := v.mounted(t, `DIR=$TARGET/agents/bundles; case '`+plant+`' in *DIR=*) DIR=$TARGET/agents/x/bundles ;; esac
					bootstrap `+command+` --bundle-dir "$DIR"`)
				if code == 0 {
					t.Errorf("exit %d\n%s", code, out)
				}
				after := tree(t, v.target+"/roots")
				wantKept(t, before, after)
				if len(after) != len(before) {
					t.Errorf("something was made: %q", after)
				}
			})
		}
	}
}

// The attack is a race, so it is run as one: the directory above is exchanged for
// a link into root's, and back, as fast as it goes.
func TestRootWritesNoBundleIntoAnExchangedDirectory(t *testing.T) {
	v := newVolume(t)
	v.sh(t, bundlesOf+`mkdir -p "$TARGET/agents/real" "$TARGET/roots/bundles/b/identity"; ln -s ../roots "$TARGET/agents/link"; chown -hR 1000:1000 "$TARGET/agents"`)
	before := tree(t, v.target+"/roots")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for t.Context().Err() == nil {
			_ = unix.Renameat2(unix.AT_FDCWD, v.target+"/agents/real", unix.AT_FDCWD, v.target+"/agents/link", unix.RENAME_EXCHANGE)
		}
	}()
	t.Cleanup(func() { <-ended }) // the context ends before
	for range 20 {
		v.bootstrap(t, "seed", "--client", "b", "--bundle-dir", v.target+"/agents/real/bundles")
	}
	after := tree(t, v.target+"/roots")
	wantKept(t, before, after)
	if len(after) != len(before) {
		t.Errorf("something was made: %d files, not %d", len(after), len(before))
	}
}

func TestABundleInAnotherUsersDirectoryIsThatUsers(t *testing.T) {
	for name, make := range map[string]string{
		"the user's":                  `chown 1000:1000 "$TARGET/agents"`,
		"of another group":            `chown 1000:2000 "$TARGET/agents"`,
		"the user's, below roots own": `mkdir "$TARGET/agents/bundles"; chown 0:0 "$TARGET/agents"; chown 1000:1000 "$TARGET/agents/bundles"`,
	} {
		t.Run(name, func(t *testing.T) {
			v := newVolume(t)
			v.sh(t, bundlesOf+make)
			for range 2 {
				if code, out := v.bootstrap(t, "seed", "--client", "b", "--bridge-tokens", "--bundle-dir", v.target+"/agents/bundles"); code != 0 {
					t.Fatalf("exit %d\n%s", code, out)
				}
			}
			for path, text := range tree(t, v.target+"/agents/bundles") {
				if fields := strings.Fields(text); fields[1] != "1000" {
					t.Errorf("%s belongs to %s", path, fields[1])
				}
			}
		})
	}
}

func TestADirectoryOfRootsThatAllCanWriteGetsNoBundle(t *testing.T) {
	v := newVolume(t)
	v.sh(t, bundlesOf+`chown 0:0 "$TARGET/agents"; chmod 777 "$TARGET/agents"`)
	code, out := v.bootstrap(t, "seed", "--client", "b", "--bundle-dir", v.target+"/agents/bundles")
	if code != storeUnusable || !strings.Contains(out, "chmod go-w") {
		t.Errorf("exit %d\n%s", code, out)
	}
}
