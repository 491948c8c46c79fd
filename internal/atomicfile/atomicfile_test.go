package atomicfile_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

func TestReplaceKeepsTheModeAndLeavesNothingBehind(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "paired.json")
	if err := os.WriteFile(path, []byte("old"), 0o640); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Replace(path, []byte("new")); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o640 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if data, _ := os.ReadFile(path); string(data) != "new" {
		t.Errorf("content %q", data)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

func TestReplaceKeepsTheOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	dir := t.TempDir()
	if err := os.Chown(dir, 1000, 1001); err != nil {
		t.Fatal(err)
	}
	owner := func(path string) [2]uint32 {
		var stat unix.Stat_t
		if err := unix.Lstat(path, &stat); err != nil {
			t.Fatal(err)
		}
		return [2]uint32{stat.Uid, stat.Gid}
	}
	made, kept := filepath.Join(dir, "made"), filepath.Join(dir, "kept")
	if err := atomicfile.Replace(made, nil); err != nil || owner(made) != [2]uint32{1000, 1001} {
		t.Errorf("a new file belongs to %v, not to the directory's owner (%v)", owner(made), err)
	}
	if err := os.WriteFile(kept, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(kept, 2000, 2001); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Replace(kept, []byte("new")); err != nil || owner(kept) != [2]uint32{2000, 2001} {
		t.Errorf("a replaced file belongs to %v (%v)", owner(kept), err)
	}
	sub := filepath.Join(dir, "sub")
	if err := atomicfile.MakeDir(sub); err != nil || owner(sub) != [2]uint32{1000, 1001} {
		t.Errorf("a new directory belongs to %v (%v)", owner(sub), err)
	}
}

func TestModesHoldUnderAnyUmask(t *testing.T) {
	for _, umask := range []int{0, 0o077, 0o777} {
		before := unix.Umask(umask)
		dir := t.TempDir()
		// The directory of the test itself suffers from the umask too.
		_ = os.Chmod(dir, 0o700)
		sub := filepath.Join(dir, "sub")
		err := errors.Join(atomicfile.MakeDir(sub), atomicfile.Create(filepath.Join(sub, "file"), nil))
		unix.Umask(before)
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]fs.FileMode{sub: fs.ModeDir | 0o700, filepath.Join(sub, "file"): 0o600} {
			if info, err := os.Lstat(path); err != nil || info.Mode() != want {
				t.Errorf("umask %#o: %s has mode %v (%v)", umask, path, info.Mode(), err)
			}
		}
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	path := filepath.Join(t.TempDir(), "device.json")
	if err := atomicfile.Create(path, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Create(path, []byte("second")); !errors.Is(err, fs.ErrExist) {
		t.Errorf("got %v", err)
	}
	if data, _ := os.ReadFile(path); string(data) != "first" {
		t.Errorf("content %q", data)
	}
}

func TestALeftoverOfAKilledRunIsCleared(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "paired.json")
	if err := os.WriteFile(filepath.Join(dir, ".paired.json.bootstrap-tmp"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Replace(path, []byte("whole")); err != nil {
		t.Fatal(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 1 {
		t.Errorf("left behind: %v", entries)
	}
}

// plant puts something that is no regular file at path.
func plant(t *testing.T, kind, path string) {
	t.Helper()
	var err error
	switch kind {
	case "a symbolic link":
		err = os.Symlink(path+".target", path)
		if err == nil {
			err = os.WriteFile(path+".target", []byte("somebody else's"), 0o600)
		}
	case "a FIFO":
		err = unix.Mkfifo(path, 0o600)
	case "a directory":
		err = os.Mkdir(path, 0o700)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsNoRegularFileIsNeitherFollowedNorReplaced(t *testing.T) {
	for _, kind := range []string{"a symbolic link", "a FIFO", "a directory"} {
		for name, do := range map[string]func(path string) error{
			"read":    func(path string) error { _, err := atomicfile.Read(path, 1000); return err },
			"replace": func(path string) error { return atomicfile.Replace(path, []byte("ours")) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), "paired.json")
				plant(t, kind, path)
				err := do(path)
				var irregular *atomicfile.NotRegularError
				if !errors.As(err, &irregular) || irregular.Kind != kind {
					t.Errorf("got %v", err)
				}
				if data, err := os.ReadFile(path + ".target"); err == nil && string(data) != "somebody else's" {
					t.Errorf("the link was followed: %q", data)
				}
			})
		}
	}
}

func TestASymbolicLinkInPlaceOfAFolderIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(t.TempDir(), filepath.Join(dir, "devices")); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.MakeDir(filepath.Join(dir, "devices")); !errors.As(err, new(*atomicfile.NotRegularError)) {
		t.Errorf("got %v", err)
	}
}

func TestAPlantedTemporaryFileIsNotWrittenThrough(t *testing.T) {
	dir := t.TempDir()
	victim := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(victim, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(victim, filepath.Join(dir, ".paired.json.bootstrap-tmp")); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Replace(filepath.Join(dir, "paired.json"), []byte("ours")); err != nil {
		t.Fatal(err)
	}
	if data, _ := os.ReadFile(victim); string(data) != "precious" {
		t.Errorf("the victim now says %q", data)
	}
}

func TestAFileThatIsTooLargeIsNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "large")
	if err := os.WriteFile(path, []byte(strings.Repeat("x", 101)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := atomicfile.Read(path, 100); !errors.As(err, new(*atomicfile.TooLargeError)) {
		t.Errorf("got %v", err)
	}
	if data, err := atomicfile.Read(path, 101); err != nil || len(data) != 101 {
		t.Errorf("got %d bytes, %v", len(data), err)
	}
}

func TestTheLockIsWaitedForAndThenGivenUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := atomicfile.Acquire(context.Background(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = atomicfile.Acquire(context.Background(), path, 20*time.Millisecond)
	var locked *atomicfile.LockedError
	if !errors.As(err, &locked) {
		t.Fatalf("a taken lock: %v", err)
	}
	if locks, err := os.ReadFile("/proc/locks"); err == nil && len(locks) > 0 && locked.PID != os.Getpid() {
		t.Errorf("held by pid %d, not by %d, in:\n%s", locked.PID, os.Getpid(), locks)
	}
	if hint := locked.Hint(); !strings.Contains(hint, "--lock-timeout") {
		t.Errorf("hint %q", hint)
	}
	waiting := make(chan error, 1)
	go func() {
		second, err := atomicfile.Acquire(context.Background(), path, time.Minute)
		if err == nil {
			second.Release()
		}
		waiting <- err
	}()
	first.Release()
	if err := <-waiting; err != nil {
		t.Errorf("a lock that was let go: %v", err)
	}
}
