package gatewaytest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/probe"
)

// policyWatch is "bootstrap approve --watch" beside a gateway.
type policyWatch struct {
	cmd    *exec.Cmd
	stderr *bytes.Buffer
	ended  chan struct{} // closed when it has said its last word
}

// startWatch starts it; its own directory makes it remember nothing of others.
func startWatch(t *testing.T, g *gatewaytest.Gateway, state string, args ...string) *policyWatch {
	t.Helper()
	w := &policyWatch{stderr: &bytes.Buffer{}, ended: make(chan struct{})}
	w.cmd = exec.Command(gatewaytest.Bootstrap(t), append([]string{"approve", "--watch", "--state-dir", state, "--gateway-url", g.URL}, args...)...)
	w.cmd.Env = []string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH"), "OPENCLAW_GATEWAY_TOKEN=" + approveToken}
	pipe, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	watching := make(chan struct{})
	begin := sync.OnceFunc(func() { close(watching) })
	go func() {
		defer close(w.ended)
		for lines := bufio.NewScanner(pipe); lines.Scan(); {
			if strings.Contains(lines.Text(), "watching for pairing requests") {
				begin()
			}
			w.stderr.WriteString(lines.Text() + "\n")
		}
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-w.ended
		_ = w.cmd.Wait()
		if t.Failed() {
			t.Logf("the watcher said:\n%s", w.stderr)
		}
	})
	select {
	case <-watching:
	case <-w.ended:
		t.Fatalf("the watcher has ended:\n%s", w.stderr)
	}
	return w
}

// stop ends it as a runtime does, which is no error.
func (w *policyWatch) stop(t *testing.T) {
	t.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-w.ended
	if err := w.cmd.Wait(); err != nil {
		t.Errorf("told to stop, it ended with %v", err)
	}
}

// kill ends it without a chance to tidy up.
func (w *policyWatch) kill() { _ = w.cmd.Process.Kill() }

// decisions are the audited actions by device id, the last one counts.
func decisions(t *testing.T, state string) map[string]approve.Record {
	t.Helper()
	out := map[string]approve.Record{}
	data, err := os.ReadFile(filepath.Join(state, "bootstrap", "audit.jsonl"))
	if err != nil {
		return out
	}
	for _, line := range bytes.Split(bytes.TrimSpace(data), []byte("\n")) {
		var record approve.Record
		if err := json.Unmarshal(line, &record); err != nil {
			t.Fatalf("the audit has a line %s: %v", line, err)
		}
		out[record.DeviceID] = record
	}
	return out
}

// visitor is a client, where it comes from, and whether it is to be let in.
type visitor struct {
	knock
	at       *gatewaytest.Remote
	admitted bool
}

// expect lets all visitors knock, waits until each is decided on, and looks who
// is let in.
func expect(t *testing.T, g *gatewaytest.Gateway, state string, visitors ...visitor) {
	t.Helper()
	round := func(again int) map[string]probe.Verdict {
		seen := map[string]probe.Verdict{}
		places := map[*gatewaytest.Remote][]knock{}
		for _, v := range visitors {
			v.URL, v.Token = g.URL, approveToken
			if v.at != nil {
				v.URL = v.at.URL(g)
			}
			if v.admitted {
				v.Again = again
			}
			places[v.at] = append(places[v.at], v.knock)
		}
		for at, knocks := range places {
			for i, verdict := range knockAt(t, at, knocks...) {
				seen[knocks[i].Name] = verdict
			}
		}
		return seen
	}
	round(0)
	await(t, "every request to be decided on", func() bool {
		known := decisions(t, state)
		return !slices.ContainsFunc(visitors, func(v visitor) bool { _, ok := known[v.deviceID(t)]; return !ok })
	})
	// The record of an approval is older than the approval.
	again := round(100)
	for _, v := range visitors {
		if again[v.Name].OK != v.admitted {
			t.Errorf("%s: let in is %v, want %v: %s; audited %+v", v.Name, again[v.Name].OK, v.admitted, again[v.Name].Message, decisions(t, state)[v.deviceID(t)])
		}
	}
}
