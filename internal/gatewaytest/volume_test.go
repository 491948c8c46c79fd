package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// sharedToken is the gateway's own token in these tests.
const sharedToken = "the-gateway-s-own-token"

// fullScopes and standardScopes are the presets of the state directory's own
// device and of a client, spelt out once more: what is let in has these. They are
// what "bootstrap seed" writes in these tests, where it sees no package.
var (
	fullScopes = []string{
		"operator.admin", "operator.approvals", "operator.pairing", "operator.questions",
		"operator.read", "operator.talk.secrets", "operator.write",
	}
	standardScopes = []string{"operator.read", "operator.write"}
)

// fullOf is what "bootstrap run" writes, which sees the package of a release.
func fullOf(version string) []string {
	full := slices.Clone(fullScopes)
	if parts := strings.Split(version, "."); parts[0] == "2026" && len(parts[1]) == 1 && parts[1] < "8" {
		full = slices.DeleteFunc(full, func(scope string) bool { return scope == "operator.questions" })
	}
	return full
}

// volume is a state directory with the port of its gateway, and the remote side
// from which that is asked.
type volume struct {
	version string
	state   string
	port    int
	remote  *gatewaytest.Remote

	// downgraded: the release is older than the database, and reads the files.
	downgraded bool
}

func newVolume(t *testing.T, version, state string) volume {
	t.Helper()
	return volume{version: version, state: state, port: gatewaytest.FreePort(t), remote: gatewaytest.NewRemote(t)}
}

// start starts a gateway that listens for the remote side too; the words of the
// prefix stand before its command.
func (v volume) start(t *testing.T, prefix ...string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Start(t, gatewaytest.Options{
		Version: v.version, StateDir: v.state, Port: v.port, Bind: "lan", Token: sharedToken, Prefix: prefix,
	})
}

// run starts it through "bootstrap run".
func (v volume) run(t *testing.T, flags ...string) *gatewaytest.Gateway {
	t.Helper()
	return v.start(t, slices.Concat([]string{gatewaytest.Bootstrap(t), "run"}, flags, []string{"--"})...)
}

func (v volume) env() []string {
	return []string{"OPENCLAW_STATE_DIR=" + v.state, "OPENCLAW_GATEWAY_PORT=" + strconv.Itoa(v.port)}
}

// bundle is the directory of a client.
func (v volume) bundle(client string) string {
	return filepath.Join(v.state, "bootstrap", "clients", client)
}

// remoteURL is the gateway's address, seen from the remote side.
func (v volume) remoteURL() string { return fmt.Sprintf("ws://%s:%d", v.remote.HostAddr, v.port) }

// seeded is what "bootstrap seed --json" says.
type seeded struct {
	Store   string
	Devices []struct {
		Name, DeviceID, Outcome string
		Scopes                  []string
	}
}

func (v volume) seed(t *testing.T, args ...string) seeded {
	t.Helper()
	result := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: append([]string{"seed", "--json"}, args...), Env: v.env(),
	})
	if result.Code != 0 {
		t.Fatalf("bootstrap seed %v ended with %d\n%s", args, result.Code, result.Stderr)
	}
	var out seeded
	decode(t, result.Stdout, &out)
	return out
}

// wantOutcomes checks how it went with the devices, in their order.
func (s seeded) wantOutcomes(t *testing.T, want ...string) {
	t.Helper()
	var got []string
	for _, device := range s.Devices {
		got = append(got, device.Name+" "+device.Outcome)
	}
	if !slices.Equal(got, want) {
		t.Errorf("seeded %q, not %q", got, want)
	}
}

// verdict is what "bootstrap probe --json" says.
type verdict struct {
	Outcome, Auth, URL, DeviceID, Role, RequestID, Message string
	OK                                                     bool
	Scopes                                                 []string
	ExitCode                                               int
	Refusal                                                struct{ DetailCode string }
}

// probe asks from the remote side; the arguments come last and so win.
func (v volume) probe(t *testing.T, args ...string) verdict {
	t.Helper()
	return runProbe(t, v.remote, v.env(), append([]string{"--gateway-url", v.remoteURL()}, args...)...)
}

func runProbe(t *testing.T, in *gatewaytest.Remote, env []string, args ...string) verdict {
	t.Helper()
	result := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: append([]string{"probe", "--json"}, args...), Env: env, In: in,
	})
	var out verdict
	decode(t, result.Stdout, &out)
	if out.ExitCode != result.Code {
		t.Errorf("bootstrap probe %v ended with %d, and said %d", args, result.Code, out.ExitCode)
	}
	return out
}

// busy is how long a gateway may be too busy to answer after it is ready: 2026.5.22 is,
// for more than a minute ("provider auth state pre-warmed in 74266ms"), and its own
// CLI gives up after ten seconds.
const busy = 5 * time.Minute

const patience = gatewaytest.Patience

// wantLetIn is the proof: the device token alone, from the remote side, gets
// exactly these scopes.
func (v volume) wantLetIn(t *testing.T, deviceID string, scopes []string, args ...string) {
	t.Helper()
	got := v.probe(t, append([]string{"--auth=device", "--wait", busy.String()}, args...)...)
	if got.ExitCode != 0 || !got.OK || got.Outcome != "ok" || got.Auth != "device" || got.Role != "operator" ||
		got.DeviceID != deviceID || !slices.Equal(got.Scopes, scopes) {
		t.Errorf("not let in as %s with %v: %+v", deviceID, scopes, got)
	}
}

func (got verdict) wantRefused(t *testing.T, code int, outcome string) {
	t.Helper()
	if got.ExitCode != code || got.Outcome != outcome || got.OK {
		t.Errorf("want exit %d, %s: %+v", code, outcome, got)
	}
}

// cli runs the official command line beside the gateway, with no gateway token
// in its environment, nor in the configuration.
func (v volume) cli(t *testing.T, args ...string) gatewaytest.Result {
	t.Helper()
	return v.cliWith(t, v.env(), args...)
}

// cliWith runs the official command line again while the gateway does not answer it.
func (v volume) cliWith(t *testing.T, env []string, args ...string) gatewaytest.Result {
	t.Helper()
	for deadline := time.Now().Add(busy); ; {
		result := gatewaytest.Run(t, gatewaytest.Command{Argv: append(gatewaytest.Install(t, v.version), args...), Env: env})
		if !strings.Contains(result.Stdout+result.Stderr, "gateway timeout after") || time.Now().After(deadline) {
			return result
		}
	}
}

// logged is the first line that bootstrap logged with this message, up to now.
func logged(t *testing.T, g *gatewaytest.Gateway, message string) map[string]any {
	t.Helper()
	for line := range strings.Lines(g.Output()) {
		var event map[string]any
		if json.Unmarshal([]byte(line), &event) == nil && event["component"] == "bootstrap" && event["message"] == message {
			return event
		}
	}
	t.Errorf("bootstrap has not logged %q", message)
	return nil
}

func decode(t *testing.T, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("this is not the JSON that was expected: %v\n%s", err, text)
	}
}
