package cli

import (
	"fmt"
	"strings"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/rights"
)

func TestAGatewayElsewhereIsNamedAsFarAsItIsKnown(t *testing.T) {
	p := &pairing.Target{Installation: gateway.Installation{URL: "ws://127.0.0.1:18789", Listen: gateway.Listen{Port: 18789}}}
	for _, c := range []struct {
		port      int
		what, fix string
	}{
		{28020, "serves this state directory at port 28020, and not at ws://127.0.0.1:18789", "--gateway-url ws://127.0.0.1:28020"},
		{18789, "it still starts", "bootstrap probe --wait"},
		{0, "it listens elsewhere", "OPENCLAW_GATEWAY_PORT=PORT"},
	} {
		got := (&app{}).elsewhereFinding(elsewhere{pid: 7, port: c.port}, p)
		if !strings.Contains(got.What, "(pid 7)") || !strings.Contains(got.What, c.what) || !strings.Contains(got.Mend, c.fix) {
			t.Errorf("at %d: %+v", c.port, got)
		}
	}
}

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
