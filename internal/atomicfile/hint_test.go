package atomicfile_test

import (
	"io/fs"
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
