package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/status"
)

func (a *app) probeCommand() *cli.Command {
	return &cli.Command{
		Name:  "probe",
		Usage: "one signed handshake: is this device let in?",
		Description: "For a HEALTHCHECK, a preflight or a CI job; the exit code says what is wrong. For example:\n\n" +
			"  bootstrap probe --wait 60s\n  bootstrap probe --json --gateway-url ws://gateway:18789",
		Flags: flags("probe", jsonFlag(),
			&cli.StringFlag{Name: "auth", Value: string(probe.AuthDevice), Usage: "`WITH`: device, the device token alone, which is the proof; shared, the gateway's own token; none"},
			&cli.StringFlag{Name: "browser", Usage: "`URL` of a page: say instead whether a browser there would get in, and what to add where not; nothing is paired"},
			&cli.BoolFlag{Name: "preflight", Usage: "print the JSON of reflectt-node's check openclaw-gateway instead; the exit code stays"},
			&cli.DurationFlag{Name: "wait", Usage: "`TIME`: how long a gateway that does not answer yet is waited for, and a device that is not paired here yet"},
		),
		Action: noArguments(a.probe),
	}
}

func (a *app) probe(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	auth := probe.Auth(c.String("auth"))
	if auth != probe.AuthDevice && auth != probe.AuthShared && auth != probe.AuthNone {
		return pairing.Usage(fmt.Errorf("--auth: %q is not one of device, shared, none", auth), "")
	}
	if c.Duration("wait") < 0 {
		return pairing.Usage(fmt.Errorf("--wait: a time cannot be negative"), "")
	}
	for _, other := range []string{"auth", "preflight", "wait"} {
		if c.IsSet("browser") && c.IsSet(other) {
			return pairing.Usage(fmt.Errorf("--browser and --%s do not go together", other), "bootstrap probe --help")
		}
	}
	t, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	if c.IsSet("browser") {
		return a.probeBrowser(c, t)
	}
	if err := t.IsChecked(); err != nil {
		return err
	}
	options := probe.Options{
		URL: t.URL, TLS: t.TLS(), Auth: auth, Version: Release,
		Wait: c.Duration("wait"), Progress: t.Progress(), Command: a.command,
	}
	verdict, err := ask(c.Context, t, options)
	if err != nil {
		return err
	}
	status.AddLocalHint(c.Context, t, &verdict)
	if c.Bool("preflight") {
		err = a.printJSON(newPreflight(verdict))
	} else {
		err = a.printVerdict(c, verdict)
	}
	if err != nil {
		return err
	}
	return &exitError{code: verdictCode(verdict.Outcome)}
}

// ask shakes hands with what the state directory has.
func ask(ctx context.Context, t *pairing.Target, options probe.Options) (probe.Verdict, error) {
	if options.Auth != probe.AuthNone {
		began := time.Now()
		credentials, err := t.AwaitCredentials(ctx, options.Auth == probe.AuthDevice, options.Wait)
		if booting := (*seed.BootingError)(nil); errors.As(err, &booting) {
			return probe.Verdict{Outcome: probe.Unreachable, Auth: options.Auth, URL: t.ShownURL(), Message: booting.Error()}, nil
		}
		if err != nil {
			return probe.Verdict{}, err
		}
		options.Wait = max(0, options.Wait-time.Since(began))
		options.Identity, options.DeviceToken, options.Scopes = credentials.Identity, credentials.Token, credentials.Scopes
	}
	if options.Auth == probe.AuthShared {
		options.GatewayToken, options.GatewayPassword = t.SharedSecret()
	}
	return probe.Run(ctx, options), nil
}

// probeBrowser says whether a browser at an address gets in.
func (a *app) probeBrowser(c *cli.Context, t *pairing.Target) error {
	var page settings.WebURL
	if err := page.UnmarshalText([]byte(c.String("browser"))); err != nil {
		return pairing.Usage(err, "bootstrap probe --browser http://localhost:18789")
	}
	verdict := status.AskAsBrowser(c.Context, t, page)
	if err := a.printVerdict(c, verdict); err != nil {
		return err
	}
	return &exitError{code: verdictCode(verdict.Outcome)}
}

// printVerdict writes the verdict to stdout, for people or for programs.
func (a *app) printVerdict(c *cli.Context, verdict probe.Verdict) error {
	if c.Bool("json") {
		return a.printJSON(struct {
			probe.Verdict
			ExitCode Code `json:"exitCode"`
		}{verdict, verdictCode(verdict.Outcome)})
	}
	lines := []string{printable(verdict.Message)}
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, fmt.Sprintf("  %-9s %s", name, printable(value)))
		}
	}
	add("gateway", verdict.URL)
	if verdict.Server != "" {
		add("release", fmt.Sprintf("%s, protocol %d", verdict.Server, verdict.Protocol))
	}
	add("device", verdict.DeviceID)
	add("scopes", strings.Join(verdict.Scopes, ", "))
	add("request", verdict.RequestID)
	if !verdict.OK {
		code := verdictCode(verdict.Outcome)
		add("exit", fmt.Sprintf("%d (%s)", code, verdict.Outcome))
	}
	for _, hint := range verdict.Hints {
		add("hint", hint)
	}
	_, err := fmt.Fprintln(a.stdout, strings.Join(lines, "\n"))
	return err
}

// preflight is one result of a check, as reflectt-node's preflight lists them
// (src/preflight.ts at 15c50d5); its own check of this name runs on macOS only. The
// form is a contract: testdata/preflight.schema.json.
type preflight struct {
	Check  preflightCheck `json:"check"`
	Passed bool           `json:"passed"`
	// Level is pass, warn, or fail: what will not pass by waiting.
	Level   string `json:"level"`
	Message string `json:"message"`
	// Recovery are the next commands, one a line; absent where it passed.
	Recovery   []string         `json:"recovery,omitempty"`
	Details    preflightDetails `json:"details"`
	DurationMs int64            `json:"durationMs"`
}

type preflightCheck struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	// Category is version, network, auth, system or apple.
	Category string `json:"category"`
}

type preflightDetails struct {
	URL       string   `json:"url"`
	Outcome   string   `json:"outcome"`
	ExitCode  Code     `json:"exitCode"`
	DeviceID  string   `json:"deviceId,omitempty"`
	Release   string   `json:"release,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	RequestID string   `json:"requestId,omitempty"`
}

func newPreflight(v probe.Verdict) preflight {
	out := preflight{
		Check: preflightCheck{
			ID: "openclaw-gateway", Name: "OpenClaw Gateway",
			Description: "The gateway answers and lets this device in", Category: "system",
		},
		Passed: v.OK, Level: "fail", Message: v.Message, DurationMs: v.ElapsedMs,
		Details: preflightDetails{
			URL: v.URL, Outcome: v.Outcome.String(), ExitCode: verdictCode(v.Outcome), DeviceID: v.DeviceID,
			Release: v.Server, Scopes: v.Scopes, RequestID: v.RequestID,
		},
	}
	switch v.Outcome {
	case probe.OK:
		out.Level = "pass"
	case probe.Unreachable, probe.StillStarting, probe.RateLimited, probe.NotProvable:
		out.Level = "warn"
	}
	if v.OK {
		out.Message = "the gateway lets this device in"
	} else {
		out.Recovery = v.Hints
	}
	return out
}
