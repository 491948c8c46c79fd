package atomicfile_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

func TestALockedFolderIsHeldAndNothingIsLeftInIt(t *testing.T) {
	dir := t.TempDir()
	lock, err := atomicfile.AcquireFolder(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := atomicfile.AcquireFolder(t.Context(), dir, 20*time.Millisecond); !errors.As(err, new(*atomicfile.LockedError)) {
		t.Errorf("a taken lock: %v", err)
	}
	lock.Release()
	again, err := atomicfile.AcquireFolder(t.Context(), dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	again.Release()
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("left behind: %v, %v", entries, err)
	}
}

func TestWhatIsNoFolderIsNotLocked(t *testing.T) {
	dir := t.TempDir()
	link, file := filepath.Join(dir, "link"), filepath.Join(dir, "file")
	if err := errors.Join(os.Symlink(t.TempDir(), link), os.WriteFile(file, nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{link, file, filepath.Join(dir, "missing")} {
		if _, err := atomicfile.AcquireFolder(context.Background(), path, 0); err == nil {
			t.Errorf("%s was locked", path)
		}
	}
}
