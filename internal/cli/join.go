package cli

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/status"
)

func (a *app) joinCommand() *cli.Command {
	return &cli.Command{
		Name:  "join",
		Usage: "make a client's bundle and get it paired, whichever way works here",
		Description: "Where the gateway's state directory is, by seeding. Else by asking the gateway with its token, and approving the request " +
			"where somebody here may; else a person is told the exact command, and waited for. The proof comes last. For example:\n\n" +
			"  bootstrap join --name agent-1\n  bootstrap join --name viewer:read --gateway-url ws://gateway:18789 --wait 5m",
		Flags: flags("join", jsonFlag(),
			&cli.StringFlag{Name: "name", Usage: "`NAME[:PRESET]` of the client; read and write (standard) unless told"},
			&cli.DurationFlag{Name: "wait", Usage: "`TIME` that a gateway may take to answer, and a person to approve"},
			&cli.BoolFlag{Name: "again", Usage: "ask again where somebody has removed this client"},
			&cli.StringFlag{Name: "platform", Usage: "`NAME` that the client will send; the gateway pins it, the bundle's env records it (default: what is recorded, else linux)"},
			&cli.StringFlag{Name: "device-family", Usage: "`NAME` that the client will send; pinned and recorded likewise (default: none)"},
			&cli.StringFlag{Name: "client-id", Usage: "`ID` that the client will send; recorded likewise (default: cli)"},
			&cli.StringFlag{Name: "client-mode", Usage: "`MODE` that the client will send; recorded likewise (default: cli)"},
		),
		Action: noArguments(a.join),
	}
}

// joined is what came of it; its JSON is a contract. It holds no secret.
type joined struct {
	Name     string   `json:"name"`
	DeviceID string   `json:"deviceId,omitempty"`
	Bundle   string   `json:"bundle,omitempty"`
	URL      string   `json:"url"`
	Scopes   []string `json:"scopes"`
	// Way is seeded, let-in, approved, or already where nothing was to be done;
	// empty where the client is not in.
	Way string `json:"way,omitempty"`
	OK  bool   `json:"ok"`
	// RequestID is what a person has to approve.
	RequestID string   `json:"requestId,omitempty"`
	Message   string   `json:"message"`
	Hints     []string `json:"hints,omitempty"`
	ExitCode  Code     `json:"exitCode"`
}

func (a *app) join(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	client, err := pairing.ClientNamed(c.String("name"))
	if err != nil {
		return err
	}
	if c.Duration("wait") < 0 {
		return pairing.Usage(errors.New("--wait: a time cannot be negative"), "")
	}
	as := seed.ClientKind{
		Platform: c.String("platform"), Family: c.String("device-family"), ID: c.String("client-id"), Mode: c.String("client-mode"),
	}
	if err := as.Check(); err != nil {
		return pairing.Usage(fmt.Errorf("--platform, --device-family, --client-id, --client-mode: %w", err), "")
	}
	t, err := a.asking(s)
	if err != nil {
		return err
	}
	a.warnInDoubt(t)
	in, err := t.Join(c.Context, pairing.Joining{Client: client, Again: c.Bool("again"), Wait: c.Duration("wait"), As: as})
	out := joined{
		Name: client.Name, DeviceID: in.DeviceID, Bundle: filepath.Join(t.BundlesDir(), client.Name), URL: t.ShownURL(),
		Scopes: in.Scopes, Way: in.Way,
	}
	return a.reportJoined(c, out, status.WithLocalHint(c.Context, t, err))
}

// reportJoined tells how it went, also where it went wrong.
func (a *app) reportJoined(c *cli.Context, out joined, err error) error {
	out.OK, out.ExitCode = err == nil, codeOf(err)
	out.Message = out.message()
	if err != nil {
		out.Way, out.Message = "", err.Error()
		if hint := hintOf(err); hint != "" {
			out.Hints = []string{hint}
		}
		if refused := (*pairing.RefusedError)(nil); errors.As(err, &refused) {
			out.RequestID, out.Hints = refused.Verdict.RequestID, refused.Verdict.Hints
		}
	}
	if c.Bool("json") {
		if err := a.printJSON(out); err != nil {
			return err
		}
		return &exitError{code: out.ExitCode}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.stdout, "%s\n  %-9s %s\n  %-9s %s\n  %-9s %s\n", out.Message,
		"device", out.DeviceID, "scopes", strings.Join(out.Scopes, ", "), "bundle", out.Bundle)
	return err
}

func (j joined) message() string {
	switch j.Way {
	case "already":
		return j.Name + " is paired already, and proven: nothing changed"
	case "seeded":
		return j.Name + " is paired by seeding, and proven"
	case string(approve.Approved):
		return j.Name + " is paired by an approval, and proven"
	}
	return j.Name + " was let in by the gateway itself, and proven"
}
