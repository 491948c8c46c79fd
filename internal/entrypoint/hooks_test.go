package entrypoint

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/hooks"
	"github.com/reflectt/bootstrap/internal/pairing"
)

func TestHooksThatCannotBeReadComeWithAHint(t *testing.T) {
	dir := t.TempDir()
	stage := filepath.Join(dir, "pre-start.d")
	if err := errors.Join(os.Mkdir(stage, 0o755), os.Symlink("nothing", filepath.Join(stage, "10-a"))); err != nil {
		t.Fatal(err)
	}
	if _, err := HooksBelow(dir); err == nil || pairing.HintOf(err) == "" {
		t.Errorf("no hint: %v", err)
	}
}

// A hook that ran, and whose mark found the disk full, has no lines to read.
func TestAMarkThatCannotBeWrittenIsNoFaultOfTheHook(t *testing.T) {
	full := fmt.Errorf("cannot note that hook a has run: %w", &fs.PathError{Op: "write", Path: "/data/a", Err: syscall.ENOSPC})
	broken := fmt.Errorf("cannot tell whether hook a has run: %w", fs.ErrInvalid)
	for want, err := range map[string]error{
		"read its lines above; ": &hooks.Failure{Code: 3}, "the volume is full": full, "ls -la '/data/my marks'; ": broken,
	} {
		if hint := provenHint("/data/my marks", err); !strings.HasPrefix(hint, want) || !strings.HasSuffix(hint, "--hooks off") {
			t.Errorf("%v: %q", err, hint)
		}
	}
}
