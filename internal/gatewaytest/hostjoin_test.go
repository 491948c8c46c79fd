package gatewaytest_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// hostJoin runs scripts/reflectt-host-join as reflectt-node does after it has
// enrolled a host, under the strictest shell that there is.
func (j joiner) hostJoin(t *testing.T, args ...string) gatewaytest.Result {
	t.Helper()
	script, err := filepath.Abs("../../scripts/reflectt-host-join")
	if err != nil {
		t.Fatal(err)
	}
	shell := "dash"
	if _, err := exec.LookPath(shell); err != nil {
		shell = "sh"
	}
	return gatewaytest.Run(t, gatewaytest.Command{
		Argv: append([]string{shell, script}, args...), In: j.at,
		Env: []string{
			"BOOTSTRAP=" + gatewaytest.Bootstrap(t), "BOOTSTRAP_JOIN_WAIT=0s", "REFLECTT_HOME=" + filepath.Join(j.dir, "re flectt"),
			"OPENCLAW_AGENT_ID=agent one", "OPENCLAW_STATE_DIR=" + j.state, "OPENCLAW_GATEWAY_URL=" + j.url, "OPENCLAW_GATEWAY_TOKEN=" + j.token,
		},
	})
}

// hostJoinWithWrongToken: the enrolment stands, and who looks is told why and
// what to do.
func (j joiner) hostJoinWithWrongToken(t *testing.T) {
	for want, args := range map[int][]string{0: nil, 14: {"--strict"}} {
		r := j.hostJoin(t, args...)
		if r.Code != want {
			t.Errorf("with %v: exit %d", args, r.Code)
		}
		for _, said := range []string{"gateway token mismatch", "(exit 14)", "token is missing or wrong: set OPENCLAW_GATEWAY_TOKEN"} {
			if !strings.Contains(r.Stderr, said) {
				t.Errorf("%q is not in\n%s", said, r.Stderr)
			}
		}
		if strings.Contains(r.Stdout+r.Stderr, j.token) {
			t.Error("the token was written")
		}
	}
}
