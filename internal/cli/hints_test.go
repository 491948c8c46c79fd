package cli

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/rights"
)

// The disk and the limits are to blame as well where the state directory is made.
func TestAStateDirectoryThatCannotBeMadeHasANextStep(t *testing.T) {
	for err, want := range map[syscall.Errno]string{syscall.ENOSPC: "df -h", syscall.EIO: "dmesg", syscall.EMFILE: "ulimit -n"} {
		failed := &rights.StateDirError{Path: "/data/state", Reason: "cannot create it", Err: err}
		if hint := hintOf(fmt.Errorf("unready: %w", failed)); !strings.Contains(hint, want) {
			t.Errorf("%v: %q", err, hint)
		}
	}
}

// A program that is fine is not what to look at where a limit is reached (exit 126).
func TestAStartThatMeetsALimitNamesTheLimits(t *testing.T) {
	for err, want := range map[syscall.Errno]string{
		syscall.EAGAIN: "--pids-limit", syscall.EMFILE: "nofile", syscall.ENFILE: "nofile", syscall.ENOMEM: "--memory", syscall.EACCES: "ls -l /bin/openclaw",
	} {
		if hint := hintOf(&launch.CommandError{Code: launch.CodeCannotRun, Path: "/bin/openclaw", Err: err}); !strings.Contains(hint, want) {
			t.Errorf("%v: %q", err, hint)
		}
	}
}
