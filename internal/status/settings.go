package status

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// clockFinding is about a clock that was never set, as on boards without a
// battery. A gateway on this machine shares it, so that nothing is refused here;
// elsewhere a signature may be two minutes old at most.
func clockFinding(now time.Time) *Finding {
	if now.Year() >= 2026 {
		return nil
	}
	return &Finding{
		What: "the clock says " + now.UTC().Format(time.RFC3339) + ", before any gateway there is: others will refuse what is signed here, and TLS fails",
		Fix:  "set the clock (date -u), and start again",
	}
}

// oldestTested is the oldest release that the tests run. By hand the matrix was
// run on 2026.1.29 too: what needs no CLI of its own holds there.
func oldestTested() gateway.Version { return gateway.Version{Year: 2026, Month: 2, Patch: 26} }

// settingFindings are what the gateway would refuse or read otherwise.
func settingFindings(now time.Time, t *pairing.Target) []Finding {
	var out []Finding
	if wrong := clockFinding(now); wrong != nil {
		out = append(out, *wrong)
	}
	if oldest := oldestTested(); t.Release.Known && t.Release.Version.Compare(oldest) < 0 {
		out = append(out, Finding{
			What: fmt.Sprintf("the release %s is older than %s, the oldest that is tested in every way; 2026.1.29 pairs as later ones do, but its CLI takes the gateway's token alone", t.Release, oldest),
			Fix:  "update the gateway: npm install -g openclaw@latest; then bootstrap probe says whether it lets this device in",
		})
	}
	for _, problem := range t.Problems {
		out = append(out, Finding{What: problem})
	}
	for _, doubt := range t.InDoubt {
		wrong := Finding{What: "not certain: " + doubt}
		if t.Config.Broken && doubt == t.Config.InDoubt { // 2026.5.28 ends with 1, 2026.9.6 with 78
			wrong = Finding{What: doubt, Fix: "look at that line: a gateway that cannot read it either does not start"}
		}
		out = append(out, wrong)
	}
	for _, other := range t.Auth.Disagree {
		out = append(out, Finding{
			What: fmt.Sprintf("the gateway's secret is set in two places that disagree: the gateway takes %s, and clients that read %s are refused", t.Auth.Source, other),
			Fix:  fmt.Sprintf("remove %s, or make both equal", other),
		})
	}
	return append(out, browserFindings(t)...)
}

// startFindings are what this command would be refused for, whatever is in the
// directory: every release from 2026.1.29 to 2026.9.6 wants its mode said.
func startFindings(t *pairing.Target) []Finding {
	// A dev gateway makes its configuration where there is none, or with --reset anew.
	profile := strings.TrimSpace(cmp.Or(t.Command.Profile, t.Variables["OPENCLAW_PROFILE"]))
	dev := t.Command.Dev || strings.EqualFold(profile, "dev")
	if dev && (!atomicfile.Exists(t.ConfigPath) || slices.Contains(t.Argv, "--reset")) {
		return nil
	}
	if !t.Command.Understood || t.Config.Mode == "local" || len(t.InDoubt) > 0 || slices.Contains(t.Argv, "--allow-unconfigured") {
		return nil
	}
	return []Finding{{
		What: "openclaw.json has no gateway.mode=local, and without it gateways refuse to start",
		Fix:  "add --allow-unconfigured to its command, or set the mode: openclaw config set gateway.mode local",
	}}
}

// BeforeStart are the findings for a command that starts the gateway.
func BeforeStart(now time.Time, t *pairing.Target) []Finding {
	return append(settingFindings(now, t), startFindings(t)...)
}
