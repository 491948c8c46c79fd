package cli

import (
	"flag"
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/approve"
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

func TestARequestForTheOtherRoleIsApprovedWhereItWasFound(t *testing.T) {
	set := flag.NewFlagSet("approve", flag.ContinueOnError)
	set.String("gateway-url", "wss://gateway.example", "")
	a := &app{typed: map[string]*cli.Context{"gateway-url": cli.NewContext(nil, set, nil)}}
	err := a.checkRequest(approve.Request{RequestID: "id", Roles: []string{"node"}}, "operator", "")
	if hint := hintOf(err); !strings.HasSuffix(hint, "bootstrap approve --gateway-url wss://gateway.example --role node id") {
		t.Errorf("got %q", hint)
	}
}
