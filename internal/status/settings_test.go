package status

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

func TestAClockThatWasNeverSetIsTold(t *testing.T) {
	for _, now := range []time.Time{time.Unix(0, 0), time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC)} {
		wrong := clockFinding(now)
		if wrong == nil || !strings.Contains(wrong.What, now.UTC().Format("2006-01-02")) || wrong.Fix == "" {
			t.Errorf("%v: %+v", now, wrong)
		}
	}
	if wrong := clockFinding(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); wrong != nil {
		t.Errorf("a clock that is right: %+v", wrong)
	}
}

// As 2026.9.6 has it: --dev, OPENCLAW_PROFILE=dev and --profile dev make a configuration
// with the mode where there is none, and leave one that is there as it is.
func TestADevGatewayWantsItsModeInAConfigurationAlone(t *testing.T) {
	for _, c := range []struct {
		argv, profile, config string
		told                  bool
	}{
		{argv: "openclaw gateway", told: true},
		{argv: "openclaw gateway", profile: " Dev "},
		{argv: "openclaw gateway", profile: "other", told: true},
		{argv: "openclaw gateway --dev"},
		{argv: "openclaw --profile dev gateway"},
		{argv: "openclaw gateway", profile: "dev", config: "{}", told: true},
		{argv: "openclaw gateway --dev", config: "{}", told: true},
		{argv: "openclaw --profile dev gateway", config: "{}", told: true},
		{argv: "openclaw gateway --dev --reset", config: "{}"},
		{argv: "openclaw gateway --dev", config: "{gateway:{mode:'local'}}"},
	} {
		state := t.TempDir()
		if c.config != "" {
			if err := os.WriteFile(filepath.Join(state, "openclaw.json"), []byte(c.config), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		target, err := pairing.Settle(pairing.Invocation{}, settings.Settings{StateDir: state}, strings.Fields(c.argv),
			map[string]string{"HOME": state, "OPENCLAW_PROFILE": c.profile}, false)
		if err != nil {
			t.Fatal(err)
		}
		if told := len(startFindings(target)) > 0; told != c.told {
			t.Errorf("%s, profile %q, configuration %q: told %v", c.argv, c.profile, c.config, told)
		}
	}
}

func TestATrustedNetworkHasTheProxiesInIt(t *testing.T) {
	for _, c := range []struct {
		have, wanted string
		want         bool
	}{
		{"172.18.0.0/16", "172.18.0.5", true}, {"172.18.0.0/16", "172.18.4.0/24", true}, {"172.18.0.5", "172.18.0.5/32", true},
		{"::1", "::1", true}, {"172.18.4.0/24", "172.18.0.0/16", false}, {"172.18.0.0/16", "172.19.0.5", false},
		{"172.18.0.0/16", "::1", false}, {"a-name", "172.18.0.5", false},
	} {
		if got := contains(c.have, c.wanted); got != c.want {
			t.Errorf("%s in %s: %v", c.wanted, c.have, got)
		}
	}
}
