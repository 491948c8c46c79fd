package cli

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/status"
)

func (a *app) statusCommand() *cli.Command {
	return &cli.Command{
		Name:        "status",
		Usage:       "say what is installed and paired here, what is wrong, and what to do about it",
		Description: "Changes no pairing, and asks the gateway nothing but whether browsers at BOOTSTRAP_PUBLIC_URL would get in. Name the clients that you expect, to hear how they differ. For example:\n\n  bootstrap status --client agent-1",
		Flags:       flags("status", jsonFlag()),
		Action:      noArguments(a.status),
	}
}

func (a *app) status(c *cli.Context) error {
	t, err := a.target(c)
	if err != nil {
		return err
	}
	out := status.Of(c.Context, t, time.Now())
	for i, finding := range out.Findings {
		if finding.Err != nil {
			out.Findings[i].Code = int(codeOf(finding.Err))
		}
	}
	if c.Bool("json") {
		err = a.printJSON(out)
	} else {
		err = a.printStatus(out)
	}
	if err != nil {
		return err
	}
	for _, finding := range out.Findings {
		if finding.Code != 0 {
			return &exitError{code: Code(finding.Code)}
		}
	}
	return nil
}

// warnAbout tells what a gateway would refuse or read otherwise than expected.
func (a *app) warnAbout(t *pairing.Target) {
	if err := t.IsChecked(); err != nil { // for that alone no gateway is kept from starting
		a.log.Warn().Str("hint", pairing.HintOf(err)).Msg(err.Error())
	}
	for _, wrong := range status.BeforeStart(time.Now(), t) {
		event := a.log.Warn()
		if wrong.Fix != "" {
			event = event.Str("hint", wrong.Fix)
		}
		event.Msg(wrong.What)
	}
}

// warnInDoubt tells what of the gateway is not certain, where nothing is started.
func (a *app) warnInDoubt(t *pairing.Target) {
	for _, doubt := range t.InDoubt {
		a.log.Warn().Msg("not certain: " + doubt)
	}
}

func (a *app) printStatus(out status.Report) error {
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
		row("browser link", link.ID, "until "+link.Expires.Format(time.RFC3339), state, "to end it: "+a.command("link", "--revoke"))
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
		if finding.Fix != "" {
			text.WriteString("  fix: " + printable(finding.Fix) + "\n")
		}
	}
	if len(out.Findings) == 0 {
		text.WriteString("\nnothing to fix\n")
	}
	_, err := fmt.Fprint(a.stdout, text.String())
	return err
}

func orDash(text string) string { return cmp.Or(text, "-") }
