package cli

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
)

func TestAQuotedWordIsOneWordForAShell(t *testing.T) {
	for _, word := range []string{"plain", "", "two words", "it's", "$HOME", "`id`", "a\\b", "*", "~root", "#no", "a;b", "line\nbreak", "viewer:read", "NAME=a+b/c=="} {
		out, err := exec.Command("sh", "-c", "printf %s. "+quoted(word)).Output()
		if err != nil || string(out) != word+"." {
			t.Errorf("%q became %q, %v", word, out, err)
		}
	}
	if got := quoted("viewer:read"); got != "viewer:read" {
		t.Errorf("quoted without need: %s", got)
	}
}

func TestAGatewayElsewhereIsNamedAsFarAsItIsKnown(t *testing.T) {
	p := place{Installation: gateway.Installation{URL: "ws://127.0.0.1:18789", Listen: gateway.Listen{Port: 18789}}}
	for _, c := range []struct {
		port       int
		what, mend string
	}{
		{28020, "serves this state folder at port 28020, and not at ws://127.0.0.1:18789", "--gateway-url ws://127.0.0.1:28020"},
		{18789, "it still starts", "bootstrap probe --wait"},
		{0, "it listens elsewhere", "OPENCLAW_GATEWAY_PORT=PORT"},
	} {
		got := (&app{}).elsewhereFinding(elsewhere{pid: 7, port: c.port}, p)
		if !strings.Contains(got.What, "(pid 7)") || !strings.Contains(got.What, c.what) || !strings.Contains(got.Mend, c.mend) {
			t.Errorf("at %d: %+v", c.port, got)
		}
	}
}
