package seed_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

func clientNames(count int) (names []string) {
	for i := range count {
		names = append(names, fmt.Sprintf("c-%d", i))
	}
	return names
}

func TestManyBundlesAreThoseOfTheirNamesAndStay(t *testing.T) {
	for _, count := range []int{0, 1, 7, 8, 200} {
		dir, names := filepath.Join(t.TempDir(), "clients"), clientNames(count)
		first, err := seed.OpenBundles(dir, names)
		if err != nil {
			t.Fatal(err)
		}
		again, err := seed.OpenBundles(dir, names)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for name, bundle := range first {
			one, err := seed.ReadBundle(dir, name)
			if err != nil || one.Identity.IsZero() || !one.Identity.Equal(bundle.Identity) || !one.Identity.Equal(again[name].Identity) || bundle.Dir != one.Dir {
				t.Fatalf("%s of %d: %v", name, count, err)
			}
			seen[one.Identity.DeviceID()] = true
		}
		if len(seen) != count {
			t.Errorf("%d keys for %d clients", len(seen), count)
		}
	}
}

// Root writes into a client's volume with that client's rights, in a batch, too.
func TestManyBundlesBelongToTheOwnerOfTheirFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can act as another user")
	}
	top, err := os.MkdirTemp("", "bundles-") // not in a directory of the test's, which another user cannot enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(top) })
	const owner = 1000
	if err := os.Chown(top, owner, owner); err != nil {
		t.Fatal(err)
	}
	bundles, err := seed.OpenBundles(top, clientNames(10))
	if err != nil {
		t.Fatal(err)
	}
	var all []seed.Finishing
	for name, bundle := range bundles {
		finishing, err := bundle.Finishing(seed.Result{
			Name: name, DeviceID: bundle.Identity.DeviceID(), Token: "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", Scopes: []string{"operator.read"},
		}, "ws://gateway:18789")
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, finishing)
	}
	if err := seed.Finish(all); err != nil {
		t.Fatal(err)
	}
	files := 0
	err = filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if stat, ok := info.Sys().(*syscall.Stat_t); !ok || stat.Uid != owner {
			t.Errorf("%s is not the owner's", path)
		}
		if !entry.IsDir() {
			files++
		}
		return err
	})
	if err != nil || files != 3*10 {
		t.Errorf("%d files, %v", files, err)
	}
}

// A link in place of a client's directory is not followed, as for one client alone.
func TestManyBundlesAreNotMadeThroughALink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "c-5")); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.OpenBundles(dir, clientNames(10)); err == nil {
		t.Error("it was followed")
	}
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) > 0 {
		t.Errorf("something was written there: %v, %v", entries, err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, "c-*", "identity", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
