package cli

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:         "status",
		Usage:        "say what is installed and paired here, what is wrong, and what to do about it",
		Description:  "Changes no pairing, and asks the gateway nothing but whether browsers at BOOTSTRAP_PUBLIC_URL would get in. Name the clients that you expect, to hear how they differ. For example:\n\n  bootstrap status --client agent-1",
		Flags:        flags("status", jsonFlag()),
		OnUsageError: onUsageError,
		Action:       noArguments(a.status),
	}
}

// status is everything that can be said without changing a pairing or asking a
// gateway.
// Its JSON is a contract; no field holds a secret.
type status struct {
	StateDir string `json:"stateDir"`
	Config   string `json:"config"`
	Release  string `json:"release"`
	Package  string `json:"package,omitempty"`
	// Store that counts, and why it is that one.
	Store     seed.Kind `json:"store,omitempty"`
	StorePath string    `json:"storePath,omitempty"`
	StoreWhy  string    `json:"storeWhy,omitempty"`
	DeviceID  string    `json:"deviceId,omitempty"`
	// URL of the gateway, and whether something answers there.
	URL      string       `json:"url"`
	Running  bool         `json:"running"`
	Auth     string       `json:"auth"`
	AuthFrom string       `json:"authFrom,omitempty"`
	Lease    *statusLease `json:"lease,omitempty"`
	// Links are those for browsers that could still be used.
	Links    []statusLink   `json:"links,omitempty"`
	Devices  []statusDevice `json:"devices"`
	Findings []finding      `json:"findings"`
}

type statusLease struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Expires time.Time `json:"expires"`
	Holder  string    `json:"holder"`
}

type statusDevice struct {
	Name     string   `json:"name,omitempty"`
	DeviceID string   `json:"deviceId"`
	Drift    drift    `json:"drift"`
	Label    string   `json:"label,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Wanted   []string `json:"wanted,omitempty"`
}

// finding is something to fix, with the command that fixes it.
type finding struct {
	What string `json:"what"`
	Mend string `json:"mend,omitempty"`
	// Code is what a command that needs this would end with; 0 for advice.
	Code Code `json:"code,omitempty"`
}

func (a *app) status(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	t, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	out := a.look(c, t)
	if c.Bool("json") {
		err = a.printJSON(out)
	} else {
		err = a.printStatus(out)
	}
	if err != nil {
		return err
	}
	for _, finding := range out.Findings {
		if finding.Code != OK {
			return &exitError{code: finding.Code}
		}
	}
	return nil
}

// look gathers the status; what cannot be read becomes a finding.
func (a *app) look(c *cli.Context, t *pairing.Target) status {
	out := status{
		StateDir: t.StateDir, Config: t.ConfigPath, Release: t.Release.String(), Package: t.PackageDir,
		URL: t.ShownURL(), Running: answers(c.Context, t), Auth: string(t.Auth.Mode), AuthFrom: authFrom(t),
		Devices: []statusDevice{}, Findings: []finding{},
	}
	fail := func(err error) bool {
		if err != nil {
			out.Findings = append(out.Findings, finding{What: err.Error(), Mend: hintOf(err), Code: codeOf(err)})
		}
		return err != nil
	}
	credentials, err := seed.ReadCredentials(c.Context, t.SeedOptions())
	if !fail(err) && !credentials.Identity.IsZero() {
		out.DeviceID = credentials.Identity.DeviceID()
	}
	survey, err := seed.Take(c.Context, t.SeedOptions())
	if err == nil || codeOf(err) != StoreUnusable || len(out.Findings) == 0 {
		fail(err)
	}
	if err == nil {
		out.Store, out.StorePath, out.StoreWhy = survey.Store.Kind, survey.Store.Path, survey.Store.Why
		wanted, err := t.Wanted(credentials.Identity)
		var keyless []string
		if !fail(err) && len(out.Findings) == 0 { // else a key may be there, and could not be read
			keyless = withoutKey(t.Settings, wanted)
		}
		out.Devices = append(out.Devices, compare(wanted, keyless, survey)...)
		out.Findings = append(out.Findings, a.driftFindings(out.Devices)...)
		out.Findings = append(out.Findings, a.localTokenFinding(survey)...)
	}
	if err == nil {
		links, err := seed.Links(c.Context, t.SeedOptions(), a.now())
		for _, link := range links {
			out.Links = append(out.Links, newStatusLink(link))
		}
		if err != nil { // a table that nothing else needs
			out.Findings = append(out.Findings, finding{What: err.Error(), Mend: hintOf(err)})
		}
	}
	lease, held, err := seed.ReadLease(c.Context, t.StateDir)
	if err == nil && held {
		out.Lease = newStatusLease(lease)
	}
	if other, found := findElsewhere(c.Context, t); found {
		out.Findings = append(out.Findings, a.elsewhereFinding(other, t))
	}
	out.Findings = append(out.Findings, settingFindings(a.now(), t)...)
	out.Findings = append(out.Findings, a.publicFinding(c.Context, t, out.Running)...)
	out.Findings = append(out.Findings, a.hookFindings(t)...)
	out.Findings = append(out.Findings, rightsFindings(t.StateDir)...)
	return out
}

// withoutKey are the names that are wanted, our own device's too, and have no key
// here yet.
func withoutKey(s settings.Settings, wanted []seed.Device) (names []string) {
	hasKey := map[string]bool{}
	for _, device := range wanted {
		hasKey[device.Name] = true
	}
	all := []string{seed.SelfName}
	for _, client := range s.Clients {
		all = append(all, client.Name)
	}
	for _, name := range all {
		if !hasKey[name] {
			names = append(names, name)
		}
	}
	return names
}

// authFrom is where the gateway's secret comes from, as a person would look for
// it; empty where there is none.
func authFrom(t *pairing.Target) string {
	switch source := t.Auth.Source; {
	case !t.Auth.Secret.IsSet() && madeToken(t) != "":
		return "made by bootstrap run: file " + madeToken(t)
	case !t.Auth.Secret.IsSet():
		return ""
	case t.Settings.GatewayTokenFile != "" && source == gateway.Source{Kind: gateway.SourceEnv, Name: "OPENCLAW_GATEWAY_TOKEN"}:
		return "file " + t.Settings.GatewayTokenFile // read into the variable
	case t.Settings.GatewayPasswordFile != "" && source == gateway.Source{Kind: gateway.SourceEnv, Name: "OPENCLAW_GATEWAY_PASSWORD"}:
		return "file " + t.Settings.GatewayPasswordFile
	default:
		return source.String()
	}
}

func newStatusLease(lease seed.Lease) *statusLease {
	out := &statusLease{Host: lease.Host, PID: lease.PID, Expires: lease.Expires, Holder: "unknown"}
	hostname, err := os.Hostname()
	if err != nil {
		return out
	}
	switch lease.Holder(hostname, time.Now()) {
	case seed.HolderAlive:
		out.Holder = "alive"
	case seed.HolderGone:
		out.Holder = "gone"
	}
	return out
}

// clockFinding is about a clock that was never set, as on boards without a
// battery. A gateway on this machine shares it, so that nothing is refused here;
// elsewhere a signature may be two minutes old at most.
func clockFinding(now time.Time) *finding {
	if now.Year() >= 2026 {
		return nil
	}
	return &finding{
		What: "the clock says " + now.UTC().Format(time.RFC3339) + ", before any gateway there is: others will refuse what is signed here, and TLS fails",
		Mend: "set the clock (date -u), and start again",
	}
}

// oldestTested is the oldest release that the tests run. By hand the matrix was
// run on 2026.1.29 too: what needs no CLI of its own holds there.
func oldestTested() gateway.Version { return gateway.Version{Year: 2026, Month: 2, Patch: 26} }

// settingFindings are what the gateway would refuse or read otherwise.
func settingFindings(now time.Time, t *pairing.Target) []finding {
	var out []finding
	if wrong := clockFinding(now); wrong != nil {
		out = append(out, *wrong)
	}
	if oldest := oldestTested(); t.Release.Known && t.Release.Version.Compare(oldest) < 0 {
		out = append(out, finding{
			What: fmt.Sprintf("the release %s is older than %s, the oldest that is tested in every way; 2026.1.29 pairs as later ones do, but its CLI takes the gateway's token alone", t.Release, oldest),
			Mend: "update the gateway: npm install -g openclaw@latest; then bootstrap probe says whether it lets this device in",
		})
	}
	for _, problem := range t.Problems {
		out = append(out, finding{What: problem})
	}
	for _, doubt := range t.InDoubt {
		wrong := finding{What: "not certain: " + doubt}
		if t.Config.Broken && doubt == t.Config.InDoubt { // 2026.5.28 ends with 1, 2026.9.6 with 78
			wrong = finding{What: doubt, Mend: "fix that line: a gateway that cannot read its configuration does not start"}
		}
		out = append(out, wrong)
	}
	for _, other := range t.Auth.Disagree {
		out = append(out, finding{
			What: fmt.Sprintf("the gateway's secret is set in two places that disagree: the gateway takes %s, and clients that read %s are refused", t.Auth.Source, other),
			Mend: fmt.Sprintf("remove %s, or make both equal", other),
		})
	}
	return append(out, browserFindings(t)...)
}

// warnAbout tells what a gateway would refuse or read otherwise than expected.
func (a *app) warnAbout(t *pairing.Target) {
	for _, wrong := range append(settingFindings(a.now(), t), startFindings(t)...) {
		event := a.log.Warn()
		if wrong.Mend != "" {
			event = event.Str("hint", wrong.Mend)
		}
		event.Msg(wrong.What)
	}
}

// startFindings are what this command would be refused for, whatever is in the
// directory: every release from 2026.1.29 to 2026.9.6 wants its mode said.
func startFindings(t *pairing.Target) []finding {
	if !t.Command.Understood || t.Command.Dev || t.Command.Profile == "dev" || t.Config.Mode == "local" || len(t.InDoubt) > 0 || slices.Contains(t.Argv, "--allow-unconfigured") {
		return nil
	}
	return []finding{{
		What: "openclaw.json has no gateway.mode=local, and without it gateways refuse to start",
		Mend: "add --allow-unconfigured to its command, or set the mode: openclaw config set gateway.mode local",
	}}
}

func (a *app) printStatus(out status) error {
	text := &strings.Builder{}
	table := tabwriter.NewWriter(text, 0, 0, 2, ' ', 0)
	row := func(name string, values ...string) {
		if value := strings.Join(slices.DeleteFunc(values, func(v string) bool { return v == "" }), ", "); value != "" {
			_, _ = fmt.Fprintf(table, "%s\t%s\n", name, printable(value))
		}
	}
	row("state directory", out.StateDir)
	row("configuration", out.Config)
	row("release", out.Release, out.Package)
	row("store", string(out.Store), out.StorePath, out.StoreWhy)
	row("device", out.DeviceID)
	running := "nothing answers there"
	if out.Running {
		running = "something answers there"
	}
	row("gateway", out.URL, running)
	from := out.AuthFrom
	if from == "" && (out.Auth == string(gateway.AuthToken) || out.Auth == string(gateway.AuthPassword)) {
		from = "none is set anywhere"
	}
	row("auth", out.Auth, from)
	if out.Lease != nil {
		row("owner lease", "host "+out.Lease.Host, fmt.Sprintf("pid %d", out.Lease.PID), "until "+out.Lease.Expires.Format(time.RFC3339), "holder "+out.Lease.Holder)
	}
	for _, link := range out.Links {
		state := "not used yet"
		if link.Opened {
			state = "a browser has opened it"
		}
		row("browser link", link.ID, "until "+link.Expires.Format(time.RFC3339), state, "to end it: bootstrap link --revoke")
	}
	_ = table.Flush()
	if len(out.Devices) > 0 {
		_, _ = fmt.Fprintf(table, "\nNAME\tDEVICE\tDRIFT\tSCOPES\n")
		for _, d := range out.Devices {
			_, _ = fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(orDash(d.Name)), printable(orDash(pairing.ShortID(d.DeviceID))), d.Drift, printable(orDash(pairing.Brief(d.Scopes))))
		}
		_ = table.Flush()
	}
	for i, finding := range out.Findings {
		if i == 0 {
			text.WriteString("\n")
		}
		text.WriteString("! " + printable(finding.What) + "\n")
		if finding.Mend != "" {
			text.WriteString("  fix: " + printable(finding.Mend) + "\n")
		}
	}
	if len(out.Findings) == 0 {
		text.WriteString("\nnothing to fix\n")
	}
	_, err := fmt.Fprint(a.stdout, text.String())
	return err
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
