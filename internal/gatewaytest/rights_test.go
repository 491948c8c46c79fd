package gatewaytest_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// asStarted is what the command finds: its own rights, what it has open, and what it
// can read of the process that started it.
const asStarted = `
	grep -hE '^(Uid|CapInh|CapPrm|CapBnd|CapAmb|NoNewPrivs):' /proc/self/status
	[ ! -e /proc/self/fd/9 ] || echo 'descriptor 9 is open'
	[ "$NODE_CHANNEL_FD" = 9 ] && echo 'node would abort'
	if cat /proc/$PPID/environ >/dev/null 2>&1; then echo 'environ is readable'; fi
	grep -hE '^(CapInh|CapBnd|NoNewPrivs):' /proc/$PPID/task/*/status | sort -u | sed 's/^/init /'
	exit 0`

// startedAs runs the shipped program, without cgo, on a state directory of uid 568:
// in a shell that has descriptor 9 open and capabilities to hand down.
func startedAs(t *testing.T, prefix string, flags ...string) []string {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: needs root, whose rights are dropped")
	}
	dir := t.TempDir()
	for up := dir; up != filepath.Dir(up) && up != os.TempDir(); up = filepath.Dir(up) {
		if err := os.Chmod(up, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	state := filepath.Join(dir, "state")
	program := filepath.Join(dir, "bootstrap") // where uid 568 finds it
	script := `cp "$PROGRAM" "` + program + `"; chmod 755 "` + program + `"; mkdir -m 700 "` + state + `"; chown 568:568 "` + state + `"
		exec 9</etc/passwd; exec ` + prefix + ` "` + program + `" run --state-dir "` + state + `" ` + strings.Join(flags, " ") + ` -- sh -c "$AS_STARTED"`
	cmd := exec.CommandContext(t.Context(), "bash", "-euc", script)
	cmd.Env = append(os.Environ(), "PROGRAM="+gatewaytest.Bootstrap(t), "AS_STARTED="+asStarted, "NODE_CHANNEL_FD=9", "OPENCLAW_GATEWAY_PORT=1")
	var log strings.Builder
	cmd.Stderr = &log
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s%s", err, out, log.String())
	}
	return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(out), "\t", " ")), "\n")
}

func wantLines(t *testing.T, got []string, want ...string) {
	t.Helper()
	if text := strings.Join(got, "\n"); text != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", text, strings.Join(want, "\n"))
	}
}

const (
	none     = "0000000000000000"
	asRoot   = "setpriv --inh-caps +net_raw --ambient-caps +net_raw"
	asUser   = "setpriv --reuid 568 --regid 568 --clear-groups"
	asNobody = "Uid: 568 568 568 568"
)

func TestNothingOfRootsOutlivesTheDrop(t *testing.T) {
	t.Parallel()
	own := []string{asNobody, "CapInh: " + none, "CapPrm: " + none, "CapBnd: " + none, "CapAmb: " + none, "NoNewPrivs: 1"}
	t.Run("exec", func(t *testing.T) {
		// The shell that started us is beyond: only what we were is looked at.
		got := startedAs(t, asRoot, "--handover exec")
		wantLines(t, got[:min(len(got), len(own))], own...)
		for _, line := range got[min(len(got), len(own)):] {
			if !strings.HasPrefix(line, "init ") && line != "environ is readable" {
				t.Errorf("also %q", line)
			}
		}
	})
	t.Run("supervise", func(t *testing.T) {
		wantLines(t, startedAs(t, asRoot, "--handover supervise"),
			append(own, "init CapBnd: "+none, "init CapInh: "+none, "init NoNewPrivs: 1")...)
	})
}

// Some images let their agents use sudo; the descriptors and sets go all the same.
func TestEscalationCanBeAllowed(t *testing.T) {
	t.Parallel()
	got := startedAs(t, asRoot, "--handover supervise", "--allow-privilege-escalation")
	text := strings.Join(got, "\n")
	if strings.Contains(text, "CapBnd: "+none) || !strings.Contains(text, "NoNewPrivs: 0") {
		t.Errorf("sudo cannot work:\n%s", text)
	}
	for _, not := range []string{"descriptor", "environ", "abort"} {
		if strings.Contains(text, not) {
			t.Errorf("%s:\n%s", not, text)
		}
	}
	if !strings.Contains(text, "\nCapInh: "+none) || !strings.Contains(text, "CapAmb: "+none) {
		t.Errorf("capabilities are inherited:\n%s", text)
	}
}

// Where nothing is dropped, whoever started us could have started the command: it
// gets what they handed on. Our environment, where a key may be, it cannot read.
func TestASupervisorHidesItsMemoryAndHandsOnDescriptorsWithoutADrop(t *testing.T) {
	t.Parallel()
	text := strings.Join(startedAs(t, asUser, "--handover supervise"), "\n")
	if !strings.Contains(text, "descriptor 9 is open") || !strings.Contains(text, "node would abort") {
		t.Errorf("it is not handed on:\n%s", text)
	}
	if strings.Contains(text, "environ is readable") {
		t.Error("the supervisor's environment can be read")
	}
}
