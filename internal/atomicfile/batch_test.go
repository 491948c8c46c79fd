package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func asOurselves(do func() error) error { return do() }

func TestABatchWritesAllOfItsFilesWholeOrNone(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "there"), []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	b := NewBatch(dir)
	err := errors.Join(
		b.MakeDir(filepath.Join(dir, "in"), asOurselves),
		b.Create(filepath.Join(dir, "in", "fresh"), []byte("new"), asOurselves),
		b.Replace(filepath.Join(dir, "there"), []byte("newer"), asOurselves),
	)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "in", "fresh")); !errors.Is(err, fs.ErrNotExist) {
		t.Error("a file has its name before the batch is committed")
	}
	if err := b.Commit(); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"in/fresh": "new", "there": "newer"} {
		if data, err := os.ReadFile(filepath.Join(dir, path)); err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", path, data, err)
		}
	}
	for path, want := range map[string]fs.FileMode{"in": 0o700, "in/fresh": 0o600, "there": 0o640} {
		if info, err := os.Stat(filepath.Join(dir, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestABatchTakesNoNameThatIsTaken(t *testing.T) {
	dir := t.TempDir()
	b := NewBatch(dir)
	for _, name := range []string{"first", "taken", "last"} {
		if err := b.Create(filepath.Join(dir, name), []byte("ours"), asOurselves); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "taken"), []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := b.Commit(); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "taken")); err != nil || string(data) != "theirs" {
		t.Errorf("%q, %v", data, err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 { // the first one, too
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestAnAbandonedBatchLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	b := NewBatch(dir)
	if err := b.Create(filepath.Join(dir, "never"), []byte("ours"), asOurselves); err != nil {
		t.Fatal(err)
	}
	if err := b.Abandon(); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 0 {
		t.Errorf("left: %v, %v", entries, err)
	}
}

// What lies on another filesystem is synced there: one call is about one filesystem.
func TestABatchSyncsAnotherFilesystemFileByFile(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root mounts filesystems")
	}
	dir := mounted(t, t.TempDir())
	other := mounted(t, filepath.Join(dir, "volume"))
	b := NewBatch(dir)
	if b.top == nil {
		t.Fatal("a tmpfs is synced file by file")
	}
	here, there := filepath.Join(dir, "here"), filepath.Join(other, "there")
	if b.durability(here) != unsynced || b.durability(there) != synced {
		t.Error("the two filesystems are not told apart")
	}
	err := errors.Join(b.Create(here, nil, asOurselves), b.Create(there, nil, asOurselves))
	if err != nil || len(b.directories) != 1 || b.directories[0].path != other {
		t.Errorf("directories to sync: %v, %v", b.directories, err)
	}
	if err := b.Commit(); err != nil {
		t.Error(err)
	}
}

func TestAKernelIsToldByItsNumbers(t *testing.T) {
	for release, want := range map[string]bool{
		"6.1.0-13-amd64": true, "5.8.0": true, "5.10.0-1-generic": true, "10.0": true, "5.8": true,
		"5.7.19": false, "4.18.0-553.el8": false, "3.10": false, "": false, "6": false, "next": false,
	} {
		if got := since(release, 5, 8); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}

// mounted is a small filesystem of its own at path.
func mounted(t *testing.T, path string) string {
	t.Helper()
	if err := os.MkdirAll(path, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return path
}
