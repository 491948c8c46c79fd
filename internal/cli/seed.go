package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

func (a *app) seedCommand() *cli.Command {
	return &cli.Command{
		Name:  "seed",
		Usage: "pair the state directory's own device, and clients, then end",
		Description: "For an init container, a one-shot service or an image test. The gateway may run meanwhile. For example:\n\n" +
			"  bootstrap seed --state-dir /data --client agent-1 --client viewer:read",
		Flags: flags("seed", jsonFlag(),
			&cli.BoolFlag{Name: "dry-run", Usage: "say what would be done, and do nothing"},
			&cli.StringSliceFlag{Name: "reseed", Usage: "`NAME`: pair this device as if for the first time, even where somebody removed it: a new token, and exactly the scopes asked for; repeatable"},
			&cli.BoolFlag{Name: "prune", Usage: "remove the clients that were seeded and are not named any more"},
		),
		Action: noArguments(a.seed),
		Subcommands: []*cli.Command{
			{
				Name: "revoke", Usage: "remove what was seeded under a name, for good", ArgsUsage: "NAME",
				Description: "A later start does not bring it back. For example:\n\n  bootstrap seed revoke agent-1",
				Flags:       singleDeviceFlags(flags("seed")), Action: a.seedRevoke,
			},
			{
				Name: "rotate", Usage: "give what was seeded under a name another device token", ArgsUsage: "NAME",
				Description: "The old one is refused from the next connect on. For example:\n\n  bootstrap seed rotate agent-1",
				Flags:       singleDeviceFlags(flags("seed"), "bundle-dir", "client-url"), Action: a.seedRotate,
			},
		},
	}
}

func (a *app) seed(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	if c.Bool("prune") {
		if err := checkPrune(s); err != nil {
			return err
		}
	}
	imported, err := a.importedIdentity(c.Context, s)
	if err != nil {
		return err
	}
	if c.Bool("dry-run") {
		return a.seedDryRun(c, s, imported)
	}
	t, err := a.ready(s)
	if err != nil {
		return err
	}
	a.warnInDoubt(t)
	live, err := t.IsServed(c.Context)
	if err != nil {
		return err
	}
	w := pairing.Wishes{Imported: imported, Reseed: c.StringSlice("reseed"), Prune: c.Bool("prune"), Live: live}
	seeded, err := t.Pair(c.Context, w)
	if err != nil {
		err = t.AskGateway(c.Context, live, err, func(g *pairing.ViaGateway) (err error) {
			seeded, err = g.PairAll(c.Context, w)
			return err
		})
	}
	if err == nil && seeded.Store.Kind == seed.Staged {
		a.log.Warn().Str("hint", "start the gateway by bootstrap run, or once it answers: "+a.command("seed")).
			Msg("nobody is paired yet: " + t.Release.String() + " reads no pairing files, and has not made its database")
	}
	if err != nil || !c.Bool("json") {
		return err
	}
	return a.printJSON(newReport(seeded.Store, seeded.Results).with(seeded.Pruned))
}

// checkPrune refuses what is hardly meant: a manifest that names nobody, as one
// that was not mounted, would take every client out.
func checkPrune(s settings.Settings) error {
	if s.Manifest == "" || len(s.Clients) > 0 {
		return nil
	}
	return pairing.Usage(fmt.Errorf("--prune would remove every client: the manifest %s names none", s.Manifest),
		"look whether it is the file that is meant, and mounted; to remove them all: bootstrap seed --prune, without a manifest")
}

// ready settles in a state directory that can be worked in.
func (a *app) ready(s settings.Settings) (*pairing.Target, error) {
	t, err := a.settle(s, nil, true)
	if err == nil {
		err = t.Unready
	}
	return t, err
}

// seedDryRun says what would be done.
func (a *app) seedDryRun(c *cli.Context, s settings.Settings, imported identity.Identity) error {
	t, err := a.settle(s, nil, false)
	if err != nil {
		return err
	}
	plan, err := t.Plan(c.Context, pairing.Wishes{Imported: imported, Reseed: c.StringSlice("reseed"), Prune: c.Bool("prune")})
	if err != nil {
		return err
	}
	planned := newReport(plan.Store, plan.Results).with(plan.Pruned)
	if c.Bool("json") {
		return a.printJSON(planned)
	}
	for _, device := range planned.Devices {
		verb := "would be"
		if device.Outcome == seed.Unchanged || device.Outcome == seed.Revoked {
			verb = "stays"
		}
		line := fmt.Sprintf("%-8s %-10s %-20s %s", verb, device.Outcome, device.Name, pairing.Brief(device.Changes))
		if _, err := fmt.Fprintln(a.stdout, printable(strings.TrimSpace(line))); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) seedRevoke(c *cli.Context) error {
	ask := func(g *pairing.ViaGateway, name string) error { return g.Revoke(c.Context, name) }
	return a.byName(c, ask, func(session *seed.Session, _ *pairing.Target, name string) error {
		results, err := session.Revoke(c.Context, name)
		for _, result := range results {
			message := "revoked"
			if result.Outcome == seed.Unchanged {
				message = "it was not paired any more; it stays out"
			}
			a.log.Info().Str("name", name).Str("device", pairing.ShortID(result.DeviceID)).Msg(message)
		}
		return err
	})
}

func (a *app) seedRotate(c *cli.Context) error {
	ask := func(g *pairing.ViaGateway, name string) error { return g.Rotate(c.Context, name) }
	return a.byName(c, ask, func(session *seed.Session, t *pairing.Target, name string) error {
		_, err := session.Rotate(c.Context, name, t.OwnCommand("seed", "--reseed", name), func(results []seed.Result) error {
			bundle, err := seed.ReadBundle(t.BundlesDir(), name)
			for _, result := range results {
				if err == nil && !bundle.Identity.IsZero() && bundle.Identity.DeviceID() == result.DeviceID {
					err = t.RenewBundle(bundle, result)
				}
				event := a.log.Info()
				if bundle.Identity.IsZero() && name != seed.SelfName {
					event = event.Str("hint", "no bundle of it is in "+t.BundlesDir()+": where it has one, do it again with --bundle-dir; a client that keeps its key itself gets the new token when it connects with the gateway's")
				}
				event.Str("name", name).Str("device", pairing.ShortID(result.DeviceID)).Msg("token rotated: the old one is refused from now on")
			}
			return err
		})
		return err
	})
}

// byName does something with the one device that is named; ask does it where the
// gateway has to be asked.
func (a *app) byName(c *cli.Context, ask func(*pairing.ViaGateway, string) error, do func(*seed.Session, *pairing.Target, string) error) error {
	if err := flagBehind(c); err != nil {
		return err
	}
	if c.NArg() != 1 {
		return pairing.Usage(errors.New("one name is wanted"), "bootstrap "+commandName(c)+" NAME")
	}
	t, err := a.target(c)
	if err != nil {
		return err
	}
	if _, err := os.Lstat(seed.Dir(t.StateDir)); errors.Is(err, fs.ErrNotExist) {
		return &seed.NameError{Name: c.Args().First()} // and nothing is made
	}
	live, err := t.IsServed(c.Context)
	if err != nil {
		return err
	}
	err = seed.InSession(c.Context, t.SessionOptions(live), func(session *seed.Session) error {
		return do(session, t, c.Args().First())
	})
	if err == nil {
		return nil
	}
	return t.AskGateway(c.Context, live, err, func(g *pairing.ViaGateway) error { return ask(g, c.Args().First()) })
}

// report is what "seed --json" prints. It holds no secret.
type report struct {
	Store   seed.Kind      `json:"store"`
	Path    string         `json:"path"`
	Devices []reportDevice `json:"devices"`
}

type reportDevice struct {
	Name     string       `json:"name"`
	DeviceID string       `json:"deviceId,omitempty"`
	Outcome  seed.Outcome `json:"outcome"`
	Changes  []string     `json:"changes,omitempty"`
	Scopes   []string     `json:"scopes,omitempty"`
	Wider    []string     `json:"wider,omitempty"`
	retired  []string
}

func newReport(store seed.Info, results []seed.Result) report {
	out := report{Store: store.Kind, Path: store.Path}
	for _, result := range results {
		out.Devices = append(out.Devices, reportDevice{
			Name: result.Name, DeviceID: result.DeviceID, Outcome: result.Outcome,
			Changes: result.Changes, Scopes: result.Scopes, Wider: result.Wider, retired: result.Retired,
		})
	}
	return out
}

// with adds the clients that are not wanted any more, and the keys whose place
// another one took: neither is there now.
func (r report) with(pruned []seed.Result) report {
	for _, device := range r.Devices {
		for _, id := range device.retired {
			r.Devices = append(r.Devices, reportDevice{Name: device.Name, DeviceID: id, Outcome: "retired"})
		}
	}
	for _, result := range pruned {
		r.Devices = append(r.Devices, reportDevice{Name: result.Name, DeviceID: result.DeviceID, Outcome: "pruned"})
	}
	return r
}
