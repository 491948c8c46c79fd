package cli

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/entrypoint"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/shell"
	"github.com/reflectt/bootstrap/internal/status"
)

func (a *app) approveCommand() *cli.Command {
	return &cli.Command{
		Name:      "approve",
		Usage:     "answer a device that asks to be paired",
		ArgsUsage: "REQUEST_ID",
		Description: "Approves exactly this request, after it has shown what is asked for. Needs neither Node nor the openclaw package: " +
			"beside the gateway its token or password is enough, elsewhere this state directory's device with operator.admin. For example:\n\n" +
			"  bootstrap approve --list\n  bootstrap approve 88df06b4-f975-42f8-9b88-f3b31bbe3d4e\n" +
			"  bootstrap approve --watch --approve=first+cidr:10.0.0.0/8 --approve-max 3",
		Flags: flags("approve", jsonFlag(),
			&cli.BoolFlag{Name: "list", Usage: "show who asks for what, and approve nothing"},
			&cli.BoolFlag{Name: "watch", Usage: "stay, and approve what the policy of --approve admits"},
			&cli.StringFlag{Name: "role", Value: "operator", Usage: "`ROLE` that the request has to ask for: operator or node"},
			&cli.StringFlag{Name: "device", Usage: "`ID` of the device that the request has to be by (default: any)"},
		),
		Action: a.approve,
	}
}

func (a *app) approve(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	if err := checkApprove(c, s); err != nil {
		return err
	}
	if c.Bool("watch") {
		return a.approveWatch(c, s)
	}
	t, err := a.asking(s)
	if err != nil {
		return err
	}
	caller, err := t.OpenApprover(c.Context, t.ApproverURL())
	if err != nil {
		return status.WithLocalHint(c.Context, t, err)
	}
	defer caller.Close()
	pending, paired, err := approve.List(c.Context, caller.Client)
	if err != nil {
		return pairing.MayNot(t.ApproverURL(), err)
	}
	if c.Bool("list") {
		return a.printRequests(c, pending, paired)
	}
	return a.approveOne(c, caller, t, pending, paired)
}

// approveWatch is "approve --watch": it stays until a signal ends it.
func (a *app) approveWatch(c *cli.Context, s settings.Settings) error {
	t, err := a.ready(s)
	if err == nil {
		err = t.IsChecked()
	}
	if err != nil {
		return err
	}
	return entrypoint.Watch(c.Context, t, t.ApproverURL(), new(time.Time), nil)
}

// checkApprove refuses what cannot be meant.
func checkApprove(c *cli.Context, s settings.Settings) error {
	wrong := func(text string) error {
		return pairing.Usage(errors.New(text), "bootstrap approve --help")
	}
	role := c.String("role")
	switch {
	case c.Bool("list") && c.Bool("watch"):
		return wrong("--list and --watch do not go together")
	case c.Bool("watch") && len(s.Approve) == 0:
		return wrong("--watch approves by a policy: say which with --approve=token, first, local or cidr:NETWORK")
	case c.IsSet("approve") && !c.Bool("watch"):
		return wrong("--approve is a policy for --watch; a single request is named by its id alone")
	case (c.Bool("list") || c.Bool("watch")) && c.NArg() > 0:
		return wrong(fmt.Sprintf("with --list or --watch there is no argument such as %q", c.Args().First()))
	case c.Bool("list") || c.Bool("watch"):
		return nil
	case c.NArg() == 0:
		return pairing.Usage(errors.New("which request? Name its id"), "bootstrap approve --list shows those that wait")
	case flagBehind(c) != nil:
		return flagBehind(c)
	case c.NArg() > 1:
		return wrong("one requestId is wanted")
	case !protocol.IsRequestID(c.Args().First()):
		return wrong(fmt.Sprintf("%q is no requestId", c.Args().First()))
	case role != "operator" && role != "node":
		return wrong(fmt.Sprintf("--role: %q is not one of operator, node", role))
	}
	return nil
}

// approveOne approves the request that was named, for what it asks at this
// moment, and nothing else.
func (a *app) approveOne(c *cli.Context, caller *approve.Caller, t *pairing.Target, pending []approve.Request, paired []approve.Paired) error {
	id := c.Args().First()
	i := slices.IndexFunc(pending, func(r approve.Request) bool { return r.RequestID == id })
	if i < 0 {
		return pairing.Usage(fmt.Errorf("the gateway has no pending request %s: it was answered, it was replaced by a later one of the same device, or it is older than five minutes", id), a.command("approve", "--list"))
	}
	request := pending[i]
	if !c.Bool("json") {
		if err := a.printRequest(request, paired); err != nil {
			return err
		}
	}
	if err := a.checkRequest(request, c.String("role"), c.String("device")); err != nil {
		return err
	}
	got, err := approve.Approve(c.Context, caller.Client, id)
	if err != nil {
		return pairing.MayNot(t.ShownURL(), err)
	}
	if got.DeviceID != request.DeviceID || got.PublicKey != request.PublicKey {
		return &pairing.RefusedError{Verdict: probe.Verdict{
			Outcome: probe.NotPaired, Message: "the gateway approved another device than the one shown: " + protocol.Clean(got.DeviceID),
			Hints: []string{"openclaw devices remove " + shell.Quote(protocol.Clean(got.DeviceID))},
		}}
	}
	a.log.Info().Str("requestId", id).Str("device", pairing.ShortID(got.DeviceID)).Str("scopes", pairing.Brief(got.Scopes)).Msg("approved")
	if c.Bool("json") {
		return a.printJSON(newRequestReport(request, paired))
	}
	return nil
}

// checkRequest compares a request with what the person said it is.
func (a *app) checkRequest(request approve.Request, role, device string) error {
	for _, asked := range request.Roles {
		if asked == role {
			continue
		}
		hint := ""
		if asked == "node" || asked == "operator" {
			hint = "if that is meant: " + a.command("approve", "--role", asked, request.RequestID)
		}
		return pairing.Usage(fmt.Errorf("it asks for the role %s, and --role says %s: not approved", protocol.Clean(asked), role), hint)
	}
	if len(request.Roles) == 0 {
		return pairing.Usage(errors.New("it asks for no role: not approved"), "")
	}
	if device != "" && device != request.DeviceID {
		return pairing.Usage(fmt.Errorf("it is by the device %s and not by the one that --device names: not approved", protocol.Clean(request.DeviceID)), "")
	}
	if !request.OwnsKey() {
		return pairing.Usage(errors.New("its device id does not belong to its key: not approved"), "")
	}
	return nil
}

// requestReport is one request as JSON; a contract.
type requestReport struct {
	approve.Asked
	// ApprovedRoles and ApprovedScopes are what the device has already; null
	// where it is not paired.
	ApprovedRoles  []string `json:"approvedRoles"`
	ApprovedScopes []string `json:"approvedScopes"`
	Repair         bool     `json:"repair,omitempty"`
	AskedAt        string   `json:"askedAt,omitempty"`
}

func newRequestReport(r approve.Request, paired []approve.Paired) requestReport {
	out := requestReport{Asked: r.Asked(), Repair: r.Repair}
	// All of it: who says yes must not be shown the first few only.
	out.Roles, out.Scopes = protocol.CleanAll(r.Roles), protocol.CleanAll(r.Scopes)
	if !r.At.IsZero() {
		out.AskedAt = r.At.UTC().Format(time.RFC3339)
	}
	for _, device := range paired {
		if device.DeviceID == r.DeviceID {
			out.ApprovedRoles, out.ApprovedScopes = protocol.CleanAll(device.Roles), protocol.CleanAll(device.Scopes)
		}
	}
	return out
}

func (a *app) printRequests(c *cli.Context, pending []approve.Request, paired []approve.Paired) error {
	if c.Bool("json") {
		reports := []requestReport{}
		for _, request := range pending {
			reports = append(reports, newRequestReport(request, paired))
		}
		return a.printJSON(struct {
			Pending []requestReport `json:"pending"`
		}{reports})
	}
	if len(pending) == 0 {
		_, err := fmt.Fprintln(a.stdout, "nobody asks; requests end after five minutes, and a client makes another one when it connects again")
		return err
	}
	for _, request := range pending {
		if err := a.printRequest(request, paired); err != nil {
			return err
		}
	}
	return nil
}

// printRequest shows a person who asks for what, and what that one has.
func (a *app) printRequest(request approve.Request, paired []approve.Paired) error {
	r := newRequestReport(request, paired)
	has := "nothing: a new device"
	switch {
	case r.ApprovedRoles != nil:
		has = strings.Join(r.ApprovedRoles, ",") + " with " + orDash(pairing.Brief(r.ApprovedScopes))
	case r.Repair:
		has = "it was paired with another key"
	}
	from := cmp.Or(r.RemoteIP, "loopback, or a proxy hides it")
	var out strings.Builder
	fmt.Fprintf(&out, "request %s\n", r.RequestID)
	for _, line := range [][2]string{
		{"device", r.DeviceID}, {"key", r.PublicKey}, {"name", r.Name},
		{"client", strings.Trim(r.ClientID+"/"+r.ClientMode, "/")}, {"platform", r.Platform}, {"from", from}, {"asked at", r.AskedAt},
		{"asks for", strings.Join(r.Roles, ",") + " with " + orDash(pairing.Brief(r.Scopes))}, {"has", has},
	} {
		if line[1] != "" {
			fmt.Fprintf(&out, "  %-9s %s\n", line[0], line[1])
		}
	}
	_, err := fmt.Fprint(a.stdout, out.String())
	return err
}
