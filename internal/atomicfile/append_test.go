package atomicfile

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestALineThatFindsNoRoomLeavesNoPart(t *testing.T) {
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=16k"); err != nil {
		t.Skipf("no full disk can be made here, which takes root: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	// The disk is full but for the end of the file's last page.
	path, line := filepath.Join(dir, "audit.jsonl"), strings.Repeat("x", 63)+"\n"
	before := strings.Repeat(line, 4096/len(line)-1)
	if err := Append(path, []byte(before)); err != nil {
		t.Fatal(err)
	}
	for err := error(nil); err == nil; {
		err = os.WriteFile(filepath.Join(dir, "fill"), make([]byte, 3*4096), 0o600)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "fill.2"), make([]byte, 4096), 0o600)
		}
	}
	long := strings.Repeat("y", 100) + "\n"
	if err := Append(path, []byte(long)); !errors.Is(err, unix.ENOSPC) {
		t.Fatalf("got %v", err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != before {
		t.Errorf("there is %q, %v", strings.TrimPrefix(string(data), before), err)
	}
	// A shorter one fits.
	if err := Append(path, []byte("short\n")); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != before+"short\n" {
		t.Errorf("there is %q, %v", strings.TrimPrefix(string(data), before), err)
	}
}

// A line that a crash has torn is one line lost, not two.
func TestALineBeginsBehindATornOne(t *testing.T) {
	for torn, want := range map[string]string{
		"":                     "good\n",
		"whole\n":              "whole\ngood\n",
		"whole\n{\"time\": \"": "whole\n{\"time\": \"\ngood\n",
	} {
		path := filepath.Join(t.TempDir(), "audit.jsonl")
		if err := os.WriteFile(path, []byte(torn), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := Append(path, []byte("good\n")); err != nil {
			t.Fatal(err)
		}
		if data, err := os.ReadFile(path); err != nil || string(data) != want {
			t.Errorf("there is %q, not %q, %v", data, want, err)
		}
	}
}
