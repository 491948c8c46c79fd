package rights

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Only owners and modes matter here; TestScripts/root_owner has the same from
// outside, with mounts.
func TestTheOwnerIsWhoeverCanReplaceTheDirectory(t *testing.T) {
	needRoot(t)
	cases := map[string]struct {
		setup      string // shell, in an empty directory of root
		path       string // within it
		willCreate bool
		want       string // uid:gid, or a part of the error
	}{
		"root's in root's":                     {"mkdir state", "state", false, "0:0"},
		"missing in root's":                    {"", "a/b/state", false, "0:0"},
		"its owner's in root's":                {"mkdir state; chown 700:701 state", "state", false, "700:701"},
		"missing in somebody's":                {"mkdir vol; chown 700:701 vol", "vol/state", false, "700:701"},
		"missing deep in somebody's":           {"mkdir vol; chown 700:701 vol", "vol/a/b/state", true, "700:701"},
		"root's in somebody's":                 {"mkdir -p vol/state; chown 700:701 vol", "vol/state", false, "700:701"},
		"root's deep in somebody's":            {"mkdir -p vol/roots/state; chown 700:701 vol", "vol/roots/state", false, "700:701"},
		"its own group counts":                 {"mkdir -p vol/state; chown 700:701 vol; chown 700:702 vol/state", "vol/state", false, "700:702"},
		"another's in somebody's":              {"mkdir -p vol/state; chown 700 vol; chown 800 vol/state", "vol/state", false, "uid 800 owns "},
		"a link of the user's":                 {"mkdir vol target; chown 700:701 vol; ln -s ../target vol/state; chown -h 700:701 vol/state", "vol/state", false, "700:701"},
		"a link of root's in somebody's":       {"mkdir vol target; chown 700:701 vol; ln -s ../target vol/state", "vol/state", false, "700:701"},
		"a link to nothing in somebody's":      {"mkdir vol; chown 700:701 vol; ln -s none vol/state", "vol/state", false, "700:701"},
		"root's link to what is missing":       {"mkdir vol; chown 700:701 vol; ln -s vol/state link", "link", false, "700:701"},
		"in a directory that a group writes":   {"mkdir vol; chmod 775 vol", "vol/state", true, "others than root can write"},
		"in a directory that everybody writes": {"mkdir -p vol/state; chmod 777 vol", "vol/state", false, "others than root can write"},
		"a user's in such a directory":         {"mkdir -p vol/state; chmod 777 vol; chown 700:701 vol/state", "vol/state", false, "700:701"},
		"root's in one like /tmp":              {"mkdir -p vol/state; chmod 1777 vol", "vol/state", false, "0:0"},
		"a user's in one like /tmp":            {"mkdir -p vol/state; chmod 1777 vol; chown 700:701 vol/state", "vol/state", false, "700:701"},
		"below a user's in one like /tmp":      {"mkdir -p vol/a/state; chmod 1777 vol; chown 700:701 vol/a", "vol/a/state", false, "700:701"},
		"a link of root's in one like /tmp":    {"mkdir vol target; chmod 1777 vol; ln -s ../target vol/state", "vol/state", false, "others than root can write"},
		"missing in one like /tmp":             {"mkdir vol; chmod 1777 vol", "vol/state", false, "others than root can write"},
		"missing there, and made at once":      {"mkdir vol; chmod 1777 vol", "vol/state", true, "0:0"},
		"a sticky directory of somebody's":     {"mkdir -p vol/state; chown 700:701 vol; chmod 1755 vol", "vol/state", false, "700:701"},
		"a file in the way":                    {"touch file", "file/state", false, "is not a directory"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir := arranged(t, c.setup)
			got, err := OwnerOf(filepath.Join(dir, c.path), c.willCreate)
			var fault *OwnerError
			if errors.As(err, &fault) {
				if !strings.Contains(err.Error(), c.want) || !strings.Contains(fault.Hint(), "--user") {
					t.Errorf("got %v, hint %q, want %q", err, fault.Hint(), c.want)
				}
			} else if err != nil || got.String() != c.want {
				t.Errorf("got %s, %v, want %s", got, err, c.want)
			}
		})
	}
}

func TestOnlyWhereRootAloneWritesItIsRootsAlone(t *testing.T) {
	needRoot(t)
	for name, c := range map[string]struct {
		setup string // shell, in an empty directory of root
		want  bool
	}{
		"root's in root's":                   {"mkdir -p bundles/one", true},
		"missing":                            {"", false},
		"a file":                             {"touch bundles", false},
		"a group writes it":                  {"mkdir -p bundles/one; chmod 775 bundles", false},
		"everybody writes it, as /tmp":       {"mkdir -p bundles/one; chmod 1777 bundles", false},
		"somebody's":                         {"mkdir -p bundles/one; chown 700 bundles", false},
		"a link to root's":                   {"mkdir -p target/one; ln -s target bundles", false},
		"below somebody's":                   {"mkdir -p bundles/one; chown 700 .", false},
		"root's, a link of somebody's to it": {"mkdir -p target/one; ln -s target bundles; chown -h 700 bundles", false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := arranged(t, c.setup)
			bundles := filepath.Join(dir, "bundles")
			if got := RootsAlone(bundles); got != c.want {
				t.Errorf("got %v", got)
			}
			for _, name := range []string{"one", "missing"} {
				if owner, err := OwnerOf(filepath.Join(bundles, name), false); c.want && (err != nil || owner.UID != 0) {
					t.Errorf("%s in it is %v's, %v", name, owner, err)
				}
			}
		})
	}
}

// What keeps the user from exchanging the directory is a mount, which that user may be
// allowed to take away.
func TestAMountMakesADirectoryNotRootsAlone(t *testing.T) {
	needRoot(t)
	bundles := filepath.Join(arranged(t, "mkdir -p home/bundles; chown 700 home"), "home", "bundles")
	ended := make(chan struct{})
	go func() { // whose thread, with its mounts, ends with it
		defer close(ended)
		runtime.LockOSThread()
		for _, err := range []error{
			unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS),
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("tmpfs", bundles, "tmpfs", 0, "mode=755"),
		} {
			if err != nil {
				t.Error(err)
				return
			}
		}
		if owner, err := OwnerOf(bundles, false); err != nil || owner.UID != 0 {
			t.Errorf("while it is mounted it is %v's, %v", owner, err)
		}
		if RootsAlone(bundles) {
			t.Error("it is taken for root's alone")
		}
	}()
	<-ended
}

func TestARelativePathHasNoOwner(t *testing.T) {
	if _, err := OwnerOf("state", false); !errors.As(err, new(*OwnerError)) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsMadeBySomebodyElseMeanwhileIsNotRoots(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o777|os.ModeSticky); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "state")
	if got, err := OwnerOf(path, true); err != nil || got.UID != 0 {
		t.Fatalf("got %v, %v, want root", got, err)
	}
	if err := errors.Join(os.Mkdir(path, 0o700), os.Chown(path, 700, 701), PrepareStateDir(path, User{})); err != nil {
		t.Fatal(err)
	}
	if err := RequireRoots(path); !errors.As(err, new(*OwnerError)) || !strings.Contains(err.Error(), "uid 700") {
		t.Errorf("got %v", err)
	}
	if err := errors.Join(os.Chown(path, 0, 0), RequireRoots(path)); err != nil {
		t.Errorf("got %v", err)
	}
}

// swaps are what the owner of vol can do to vol/state at any moment. Root's
// directory "empty" may lie there, as a package or an earlier start left it.
var swaps = map[string]string{
	"moved away":            `mv vol/state vol/hidden`,
	"a link to root's":      `mv vol/state vol/hidden; ln -s ../target vol/state; chown -h 700:701 vol/state`,
	"root's, moved there":   `mv vol/state vol/hidden; mv vol/empty vol/state`,
	"another one of theirs": `mv vol/state vol/hidden; mkdir vol/state; chown 700:701 vol/state`,
}

// The swap comes before each part of the path in turn. TestScripts and scripts/attack
// have it beside a real start; here no race decides whether it is met.
func TestNoSwapWhileItIsLookedForMakesItRoots(t *testing.T) {
	needRoot(t)
	eachSwap(t, func(t *testing.T, w walk) {
		w.looks = true
		if got, err := w.owner(); err != nil || got.UID != 700 {
			t.Errorf("got %s, %v, want 700", got, err)
		}
	})
}

func TestNoSwapWhileItIsMadeReadyReachesWhatIsRoots(t *testing.T) {
	needRoot(t)
	eachSwap(t, func(t *testing.T, w walk) {
		w.user = User{UID: 700, GID: 701}
		target := filepath.Join(filepath.Dir(filepath.Dir(w.path)), "target")
		fd, err := w.open()
		if err == nil {
			err = errors.Join(handOver(fd, w.path, w.user), os.NewFile(uintptr(fd), "state").Close())
		}
		if err != nil && !strings.Contains(err.Error(), "is a symbolic link") {
			t.Errorf("got %v", err)
		}
		if got := owned(t, target); got != "0:0 0755" {
			t.Errorf("what is root's is now %s", got)
		}
	})
}

func eachSwap(t *testing.T, try func(t *testing.T, w walk)) {
	t.Helper()
	for name, script := range swaps {
		for _, at := range []string{"vol", "state"} {
			t.Run(fmt.Sprintf("%s before %s", name, at), func(t *testing.T) {
				dir := t.TempDir()
				sh := func(script string) {
					cmd := exec.Command("/bin/sh", "-ec", "umask 022; "+script)
					cmd.Dir = dir
					if out, err := cmd.CombinedOutput(); err != nil {
						t.Fatalf("%v: %s", err, out)
					}
				}
				sh("mkdir -p vol/state vol/empty target; chown 700:701 vol vol/state")
				swapped := false
				w := walk{path: filepath.Join(dir, "vol/state"), before: func(part string) {
					if part == at && !swapped {
						swapped = true
						sh(script)
					}
				}}
				try(t, w)
				if !swapped {
					t.Error("nothing was swapped: this shows nothing")
				}
			})
		}
	}
}
