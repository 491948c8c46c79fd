package atomicfile_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

func TestALimitOnOpenFilesIsNamed(t *testing.T) {
	for fault, want := range map[unix.Errno]string{unix.EMFILE: "ulimit -n", unix.ENFILE: "fs.file-max"} {
		err := &fs.PathError{Op: "open", Path: "/data/x", Err: fault}
		if hint := atomicfile.HintFor("/data/x", err); !strings.Contains(hint, want) {
			t.Errorf("%v: %q", fault, hint)
		}
	}
}

func TestADirectoryInPlaceOfTheTemporaryFileIsNamed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paired.json")
	if err := os.MkdirAll(filepath.Join(atomicfile.Temporary(path), "in the way"), 0o700); err != nil {
		t.Fatal(err)
	}
	err := atomicfile.Replace(path, nil)
	if hint := atomicfile.HintFor(path, err); !strings.Contains(hint, "rm -r "+atomicfile.Temporary(path)) {
		t.Errorf("%v: %q", err, hint)
	}
}
