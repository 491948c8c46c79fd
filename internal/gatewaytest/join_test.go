package gatewaytest_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// joinReport is what "join --json" says.
type joinReport struct {
	DeviceID, Bundle, Way, RequestID, Message string
	OK                                        bool
	Scopes, Hints                             []string
	ExitCode                                  int
}

// joiner runs "bootstrap join" in some place.
type joiner struct {
	at    *gatewaytest.Remote
	state string
	dir   string
	url   string
	port  int
	token string
}

func (j joiner) command(t *testing.T, args ...string) gatewaytest.Command {
	argv := []string{gatewaytest.Bootstrap(t), "join", "--json", "--state-dir", j.state, "--bundle-dir", j.dir}
	env := []string{"OPENCLAW_GATEWAY_PORT=" + strconv.Itoa(j.port)}
	if j.url != "" {
		env = append(env, "OPENCLAW_GATEWAY_URL="+j.url)
	}
	if j.token != "" {
		env = append(env, "OPENCLAW_GATEWAY_TOKEN="+j.token)
	}
	return gatewaytest.Command{Argv: append(argv, args...), Env: env, In: j.at}
}

func (j joiner) join(t *testing.T, args ...string) joinReport {
	t.Helper()
	return readJoin(t, gatewaytest.Run(t, j.command(t, args...)))
}

func readJoin(t *testing.T, result gatewaytest.Result) joinReport {
	t.Helper()
	var report joinReport
	if err := json.Unmarshal([]byte(result.Stdout), &report); err != nil || report.ExitCode != result.Code {
		t.Fatalf("ended with %d: %v\n%s%s", result.Code, err, result.Stdout, result.Stderr)
	}
	if strings.Contains(result.Stdout+result.Stderr, approveToken) {
		t.Error("the gateway's token was written")
	}
	return report
}

func TestJoinOnRealGateways(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.5.28", "2026.8.2", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := openGateway(t, version)
			remote := gatewaytest.NewRemote(t)
			g.WaitReady(t)
			a := approver{Gateway: approve.Gateway{URL: g.URL, Token: approveToken}}
			here := joiner{state: g.StateDir, dir: t.TempDir(), port: g.Port, token: approveToken}
			beside := joiner{state: t.TempDir(), dir: t.TempDir(), port: g.Port, token: approveToken}
			far := joiner{at: remote, state: t.TempDir(), dir: t.TempDir(), url: remote.URL(g), token: approveToken}
			operator := far
			operator.state, operator.dir = g.StateDir, t.TempDir()
			t.Run("the state directory is here", func(t *testing.T) { a.joins(t, here, "seeded") })
			t.Run("beside the gateway", func(t *testing.T) { a.joins(t, beside, "let-in") })
			t.Run("as another platform, which is remembered", beside.joinsAsAnotherPlatform)
			t.Run("far away, as an operator", func(t *testing.T) { a.joins(t, operator, "approved") })
			t.Run("far away, with a person's help", func(t *testing.T) { a.joinsByHand(t, far) })
			t.Run("far away, with a wrong token", func(t *testing.T) {
				far.token, far.dir = "not-the-token", t.TempDir()
				if r := far.join(t, "--name", "agent"); r.ExitCode != 14 || len(r.Hints) == 0 {
					t.Errorf("got %+v", r)
				}
				far.hostJoinWithWrongToken(t)
			})
			t.Run("nobody is there", func(t *testing.T) {
				far.url, far.dir = "ws://"+remote.HostAddr+":1", t.TempDir()
				if r := far.join(t, "--name", "agent"); r.ExitCode != 10 {
					t.Errorf("got %+v", r)
				}
			})
		})
	}
}

// joins: in, and again, and after somebody has removed the client.
func (a approver) joins(t *testing.T, j joiner, way string) {
	first := j.join(t, "--name", "agent")
	if !first.OK || first.Way != way {
		t.Fatalf("got %+v", first)
	}
	env, err := os.ReadFile(filepath.Join(first.Bundle, "env"))
	if err != nil || strings.Contains(string(env), approveToken) {
		t.Errorf("the bundle's env: %v\n%s", err, env)
	}
	if again := j.join(t, "--name", "agent"); !again.OK || again.Way != "already" || again.DeviceID != first.DeviceID {
		t.Errorf("the second time: %+v", again)
	}
	if after, err := os.ReadFile(filepath.Join(first.Bundle, "env")); err != nil || string(after) != string(env) {
		t.Errorf("the second time changed the bundle: %v", err)
	}
	if wider := j.join(t, "--name", "agent:full"); !wider.OK || len(wider.Scopes) < 4 {
		t.Errorf("with more scopes: %+v", wider)
	}
	if err := approve.Remove(t.Context(), a.open(t).Client, first.DeviceID); err != nil {
		t.Fatal(err)
	}
	if removed := j.join(t, "--name", "agent"); removed.ExitCode != 12 || !strings.Contains(removed.Message, "removed") {
		t.Errorf("after the removal: %+v", removed)
	}
	if back := j.join(t, "--again", "--name", "agent"); !back.OK {
		t.Errorf("asked to come back: %+v", back)
	}
}

// joinsAsAnotherPlatform: the gateway pins what is sent first, so the next run
// has to send the same without being told.
func (j joiner) joinsAsAnotherPlatform(t *testing.T) {
	first := j.join(t, "--name", "mac", "--platform", "darwin", "--device-family", "Mac")
	again := j.join(t, "--name", "mac")
	if !first.OK || !again.OK || again.Way != "already" {
		t.Errorf("first %+v, then %+v", first, again)
	}
	env, err := os.ReadFile(filepath.Join(first.Bundle, "env"))
	for _, line := range []string{"BOOTSTRAP_CLIENT_PLATFORM=darwin\n", "BOOTSTRAP_CLIENT_FAMILY=Mac\n"} {
		if !strings.Contains(string(env), line) {
			t.Errorf("%q is not in the bundle's env: %v", line, err)
		}
	}
	// What is recorded is what counts: another platform is an upgrade that the
	// gateway grants by itself, or asks a person for.
	if err := os.WriteFile(filepath.Join(first.Bundle, "env"), []byte(strings.ReplaceAll(string(env), "darwin", "linux")), 0o600); err != nil {
		t.Fatal(err)
	}
	if other := j.join(t, "--name", "mac"); other.Way == "already" {
		t.Errorf("the gateway has not pinned the platform: %+v", other)
	}
}

func (a approver) joinsByHand(t *testing.T, j joiner) {
	asked := j.join(t, "--name", "agent")
	if asked.ExitCode != 12 || asked.RequestID == "" || !strings.Contains(strings.Join(asked.Hints, " "), "bootstrap approve "+asked.RequestID) {
		t.Fatalf("got %+v", asked)
	}
	done := make(chan gatewaytest.Result, 1)
	go func() { done <- gatewaytest.Run(t, j.command(t, "--name", "agent", "--wait", "90s")) }()
	request := ""
	await(t, "the request", func() bool {
		pending, _ := a.list(t)
		for _, r := range pending {
			if r.DeviceID == asked.DeviceID {
				request = r.RequestID
			}
		}
		return request != ""
	})
	result := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: []string{"approve", "--device", asked.DeviceID, "--state-dir", t.TempDir(), "--gateway-url", a.URL, request},
		Env:  []string{"OPENCLAW_GATEWAY_TOKEN=" + approveToken},
	})
	if result.Code != 0 {
		t.Errorf("approving ended with %d: %s", result.Code, result.Stderr)
	}
	// Approved before it came again, or after.
	if joined := readJoin(t, <-done); !joined.OK || joined.Way != "approved" && joined.Way != "let-in" {
		t.Errorf("got %+v", joined)
	}
	if again := j.join(t, "--name", "agent"); again.Way != "already" {
		t.Errorf("again: %+v", again)
	}
}
