package entrypoint

import (
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/hooks"
)

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
