package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) joinCommand() *cli.Command {
	return &cli.Command{
		Name:  "join",
		Usage: "make a client's bundle and get it paired, whichever way works here",
		Description: "Where the gateway's state folder is, by seeding. Else by asking the gateway with its token, and approving the request " +
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
		OnUsageError: onUsageError,
		Action:       noArguments(a.join),
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

// joining is one run of the command.
type joining struct {
	*app
	c      *cli.Context
	s      settings.Settings
	p      place
	client settings.Client
	again  bool
	// wait is how long a gateway may take to answer, and a person to approve.
	wait time.Duration
	// as is what the client will send; empty parts have their defaults.
	as  seed.ClientKind
	out joined
}

func (a *app) join(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	client, err := clientNamed(c.String("name"))
	if err != nil {
		return err
	}
	if c.Duration("wait") < 0 {
		return &usageError{err: errors.New("--wait: a time cannot be negative")}
	}
	as := seed.ClientKind{
		Platform: c.String("platform"), Family: c.String("device-family"), ID: c.String("client-id"), Mode: c.String("client-mode"),
	}
	if err := as.Check(); err != nil {
		return &usageError{err: fmt.Errorf("--platform, --device-family, --client-id, --client-mode: %w", err)}
	}
	p, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	s.Clients = settings.Clients{client}
	j := a.newJoining(s, p)
	j.c, j.again, j.wait, j.as = c, c.Bool("again"), c.Duration("wait"), as
	return j.report(a.refusedAtHome(c.Context, p, j.run(c.Context)))
}

// newJoining begins with the one client of the settings.
func (a *app) newJoining(s settings.Settings, p place) *joining {
	client := s.Clients[0]
	return &joining{app: a, s: s, p: p, client: client, out: joined{
		Name: client.Name, URL: p.shownURL(), Scopes: client.WantedScopes(p.Release), Bundle: filepath.Join(bundlesDir(s, p), client.Name),
	}}
}

func clientNamed(name string) (settings.Client, error) {
	var clients settings.Clients
	err := clients.UnmarshalText([]byte(name))
	switch {
	case err != nil:
		return settings.Client{}, &usageError{err: fmt.Errorf("--name: %w", err)}
	case len(clients) != 1 || clients[0].PublicKey != "":
		return settings.Client{}, &usageError{err: errors.New("--name: one client is wanted, such as agent-1 or viewer:read"), hint: "bootstrap join --name agent-1"}
	}
	return clients[0], nil
}

// run gets the client in, and records how it describes itself, also where a
// person has yet to approve it.
func (j *joining) run(ctx context.Context) error {
	claim, err := j.claim(ctx)
	if err != nil {
		return err
	}
	defer claim.Release()
	bundle := seed.Bundle{Dir: filepath.Join(bundlesDir(j.s, j.p), j.client.Name)}
	recorded, err := bundle.Kind()
	if err != nil {
		return err
	}
	j.as.Platform, j.as.Family = cmp.Or(j.as.Platform, recorded.Platform), cmp.Or(j.as.Family, recorded.Family)
	j.as.ID, j.as.Mode = cmp.Or(j.as.ID, recorded.ID), cmp.Or(j.as.Mode, recorded.Mode)
	err = j.tryWays(ctx)
	if j.out.DeviceID == "" {
		return err // there is no bundle
	}
	return errors.Join(err, bundle.Describe(j.as))
}

// claim waits for another join of the same client.
func (j *joining) claim(ctx context.Context) (*atomicfile.Lock, error) {
	waiting := time.AfterFunc(seed.LockPatience, func() {
		j.log.Info().Str("at_most", j.s.LockTimeout.String()).Msg("waiting for another bootstrap that gets " + j.client.Name + " paired")
	})
	defer waiting.Stop()
	return seed.ClaimBundle(ctx, bundlesDir(j.s, j.p), j.client.Name, j.s.LockTimeout)
}

// tryWays tries them in order of what they need.
func (j *joining) tryWays(ctx context.Context) error {
	if j.folderIsHere() {
		done, err := j.bySeeding(ctx)
		if done || err != nil {
			return err
		}
	}
	return j.byAsking(ctx)
}

// folderIsHere tells whether this is the machine and the folder of the gateway
// that is meant.
func (j *joining) folderIsHere() bool {
	if !(approve.Gateway{URL: j.p.URL}).IsLoopback() {
		return false
	}
	for _, name := range []string{"openclaw.json", "devices", "state"} {
		if _, err := os.Lstat(filepath.Join(j.p.StateDir, name)); err == nil {
			return true
		}
	}
	return false
}

// bySeeding is false where the store cannot be written, or is not the one that
// the gateway reads.
func (j *joining) bySeeding(ctx context.Context) (done bool, err error) {
	live, err := j.isServed(ctx, j.p)
	if err != nil {
		return false, err
	}
	w := wishes{live: live}
	if j.again {
		w.reseed = []string{j.client.Name}
	}
	seeded, err := j.pair(ctx, j.s, j.p, w)
	if err != nil {
		if done, err := j.byGateway(ctx, live, err); done || err != nil {
			return done, err
		}
	}
	switch {
	case errors.As(err, new(*seed.StoreError)), errors.As(err, new(*seed.SchemaError)):
		j.log.Info().Msg("the state folder cannot be seeded, asking the gateway instead: " + err.Error())
		return false, nil
	case err != nil:
		return false, err
	}
	result := seeded.named(j.client.Name)
	if j.out.DeviceID = result.DeviceID; result.Outcome == seed.Revoked {
		return false, j.removed()
	}
	verdict := j.proveBundle(ctx, result.Token, result.Scopes)
	if verdict.Outcome == probe.NotPaired {
		j.log.Info().Msg("the gateway does not read this state folder; asking it instead")
		return false, nil
	}
	j.out.Way = "seeded"
	if result.Outcome == seed.Unchanged {
		j.out.Way = "already"
	}
	return true, refusedUnlessOK(verdict)
}

// byGateway has the gateway pair the client where its database is out of reach; it
// is false where that cannot be, or fails: then the client itself has to ask.
func (j *joining) byGateway(ctx context.Context, live bool, failed error) (done bool, err error) {
	if !seed.OutOfReach(failed) {
		return false, nil
	}
	clients, err := openClients(j.s, j.p)
	if err != nil {
		return false, err
	}
	clients[0].device.Reseed = j.again
	var result seed.Result
	var how approve.How
	err = j.askGateway(ctx, j.s, j.p, live, failed, func(g *asking) (err error) {
		result, how, err = g.pairClient(ctx, clients[0])
		return err
	})
	if err != nil {
		return false, nil // which is told by who asks next
	}
	if j.out.DeviceID = result.DeviceID; result.Outcome == seed.Revoked {
		return false, j.removed()
	}
	j.out.Way = cmp.Or(string(how), "already")
	return true, refusedUnlessOK(j.proveBundle(ctx, result.Token, j.client.WantedScopes(j.p.Release)))
}

// proveBundle is the proof with the bundle's key.
func (j *joining) proveBundle(ctx context.Context, token string, scopes []string) probe.Verdict {
	bundle, err := seed.ReadBundle(bundlesDir(j.s, j.p), j.client.Name)
	if err != nil {
		return probe.Verdict{Message: err.Error()}
	}
	return j.probeBundle(ctx, bundle, token, scopes)
}

func (j *joining) probeBundle(ctx context.Context, bundle seed.Bundle, token string, scopes []string) probe.Verdict {
	return probe.Run(ctx, probe.Options{
		URL: j.p.URL, TLS: tlsOptions(j.s), Auth: probe.AuthDevice, Version: Release,
		Identity: bundle.Identity, DeviceToken: token, Scopes: scopes,
		ClientID: j.as.ID, ClientMode: j.as.Mode, Platform: j.as.Platform, DeviceFamily: j.as.Family,
		DisplayName: "bootstrap: " + j.client.Name,
		Wait:        j.wait, Progress: j.progress(),
	})
}

// removed: somebody has decided that this client shall not be in.
func (j *joining) removed() error {
	return &refusedError{verdict: probe.Verdict{
		Outcome: probe.NotPaired,
		Message: "the gateway does not know this client any more: somebody removed it, or its token was revoked; it is not asked for again",
		Hints:   []string{"if it shall come back: bootstrap join --again --name " + j.client.Name},
	}}
}

// byAsking gets the client in through the gateway itself.
func (j *joining) byAsking(ctx context.Context) error {
	bundle, err := seed.OpenBundle(bundlesDir(j.s, j.p), j.client.Name)
	if err != nil {
		return err
	}
	j.out.DeviceID = bundle.Identity.DeviceID()
	known, err := bundle.Credentials()
	if err != nil {
		return err
	}
	if known.Token != "" && !j.again {
		verdict := j.probeBundle(ctx, bundle, known.Token, j.client.WantedScopes(j.p.Release))
		switch verdict.Outcome {
		case probe.OK:
			j.out.Way = "already"
			return j.finish(bundle, known.Token, known.Scopes)
		case probe.NotPaired:
			return j.removed()
		case probe.UpgradeWanted:
			j.log.Info().Msg("paired, but not for this: " + verdict.Message)
		default:
			return refusedUnlessOK(verdict)
		}
	}
	return j.ask(ctx, bundle)
}

func (j *joining) ask(ctx context.Context, bundle seed.Bundle) error {
	gateway := loopback(j.s, j.p)
	gateway.URL = j.p.URL
	result, err := approve.Join(ctx, approve.JoinOptions{
		Options: approve.Options{
			Gateway: gateway, Identity: bundle.Identity, Scopes: j.client.WantedScopes(j.p.Release),
			DisplayName: "bootstrap: " + j.client.Name, Platform: j.as.Platform, DeviceFamily: j.as.Family,
			ClientID: j.as.ID, ClientMode: j.as.Mode,
			Wait: j.wait, Progress: j.progress(),
		},
		Approver: func(ctx context.Context) (*approve.Caller, error) { return openApprover(ctx, j.s, j.p) },
		CannotApprove: func(err error) {
			j.log.Info().Msg("this request waits for a person: " + err.Error())
		},
		Asked: func(id string) {
			j.log.Warn().Str("requestId", id).Str("device", bundle.Identity.DeviceID()).
				Str("hint", approveHint(id)).Msg("a person has to approve this client, beside the gateway and within five minutes")
		},
	})
	if err != nil {
		return joinError(err)
	}
	j.out.Way, j.out.Scopes = string(result.How), result.Scopes
	return j.finish(bundle, result.DeviceToken, result.Scopes)
}

func approveHint(requestID string) string {
	return "bootstrap approve " + requestID + "   or: openclaw devices approve " + requestID
}

// finish tells the client to find the gateway where it was asked: that has worked.
// BOOTSTRAP_CLIENT_URL is for who seeds.
func (j *joining) finish(bundle seed.Bundle, token string, scopes []string) error {
	result := seed.Result{Name: j.client.Name, DeviceID: j.out.DeviceID, Token: token, Scopes: scopes}
	return finishBundle(j.s, bundle, result, j.p.URL)
}

// joinError keeps the verdict, for the exit code and the request.
func joinError(err error) error {
	var failed *approve.Error
	if !errors.As(err, &failed) || failed.Verdict.Outcome == "" {
		return fmt.Errorf("cannot join: %w", err)
	}
	verdict := failed.Verdict
	if verdict.RequestID != "" {
		verdict.Hints = append([]string{approveHint(verdict.RequestID) + "   then join again: it finishes by itself"}, verdict.Hints...)
	}
	return &refusedError{verdict: verdict, cause: failed.Err}
}

func refusedUnlessOK(verdict probe.Verdict) error {
	if verdict.OK {
		return nil
	}
	return &refusedError{verdict: verdict}
}

// report tells how it went, also where it went wrong.
func (j *joining) report(err error) error {
	j.out.OK, j.out.ExitCode = err == nil, codeOf(err)
	j.out.Message = j.message()
	if err != nil {
		j.out.Way, j.out.Message = "", err.Error()
		if hint := hintOf(err); hint != "" {
			j.out.Hints = []string{hint}
		}
		if refused := (*refusedError)(nil); errors.As(err, &refused) {
			j.out.RequestID, j.out.Hints = refused.verdict.RequestID, refused.verdict.Hints
		}
	}
	if j.c.Bool("json") {
		if err := j.printJSON(j.out); err != nil {
			return err
		}
		return &exitError{code: j.out.ExitCode}
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(j.stdout, "%s\n  %-9s %s\n  %-9s %s\n  %-9s %s\n", j.out.Message,
		"device", j.out.DeviceID, "scopes", strings.Join(j.out.Scopes, ", "), "bundle", j.out.Bundle)
	return err
}

func (j *joining) message() string {
	switch j.out.Way {
	case "already":
		return j.client.Name + " is paired already, and proven: nothing changed"
	case "seeded":
		return j.client.Name + " is paired by seeding, and proven"
	case string(approve.Approved):
		return j.client.Name + " is paired by an approval, and proven"
	}
	return j.client.Name + " was let in by the gateway itself, and proven"
}
