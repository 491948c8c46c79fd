package cli

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/rights"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

func (a *app) identityCommand() *cli.Command {
	return &cli.Command{
		Name:   "identity",
		Usage:  "show, create, import or export the state directory's own device",
		Action: a.noCommand,
		Subcommands: []*cli.Command{
			{
				Name: "show", Usage: "say which device this state directory is",
				Description: "For example:\n\n  bootstrap identity show --json",
				Flags:       flags("identity", jsonFlag()),
				Action:      noArguments(a.identityShow),
			},
			{
				Name: "create", Usage: "make a device identity where there is none",
				Description: "A second run changes nothing. For example:\n\n  bootstrap identity create --state-dir /data",
				Flags:       flags("identity", jsonFlag()),
				Action:      noArguments(a.identityKeep),
			},
			{
				Name: "import", Usage: "take a private key as the identity, where there is none",
				Description: "From a file, from standard input with -, or with its device token from a client's bundle. For example:\n\n" +
					"  openssl genpkey -algorithm ed25519 | bootstrap identity import -\n  bootstrap identity import --state-dir /cli /data/bootstrap/clients/agent-1",
				ArgsUsage: "[FILE | - | BUNDLE]",
				Flags:     flags("identity", jsonFlag()),
				Action:    a.identityImport,
			},
			{
				Name: "export", Usage: "print the public key, which is no secret",
				Description: "Another gateway's state directory can be seeded with it. For example:\n\n" +
					"  bootstrap seed --state-dir /other --client viewer:read=$(bootstrap identity export)",
				Flags: flags("identity", &cli.StringFlag{
					Name: "format", Value: "base64url", Usage: "`FORMAT`: base64url, as the gateway lists it, or pem",
				}),
				Action: noArguments(a.identityExport),
			},
		},
	}
}

func (a *app) identityShow(c *cli.Context) error {
	id, err := a.readSelf(c)
	if err != nil {
		return err
	}
	return a.printIdentity(c, id)
}

func (a *app) identityExport(c *cli.Context) error {
	id, err := a.readSelf(c)
	if err != nil {
		return err
	}
	switch format := c.String("format"); format {
	case "base64url":
		_, err = fmt.Fprintln(a.stdout, id.PublicKey())
	case "pem":
		_, err = fmt.Fprint(a.stdout, id.PublicPEM())
	default:
		err = pairing.Usage(fmt.Errorf("--format: %q is neither base64url nor pem", format), "")
	}
	return err
}

// readSelf reads the identity that is there, and says how to get one where
// there is none.
func (a *app) readSelf(c *cli.Context) (identity.Identity, error) {
	t, err := a.target(c)
	if err != nil {
		return identity.Identity{}, err
	}
	credentials, err := seed.ReadCredentials(c.Context, t.SeedOptions())
	id := credentials.Identity
	if err == nil && id.IsZero() {
		err = &identity.Error{
			Path: identity.FilePath(t.StateDir), Fault: "there is none",
			Fix: a.command("identity create"),
		}
	}
	return id, err
}

func (a *app) identityImport(c *cli.Context) error {
	if err := flagBehind(c); err != nil {
		return err
	}
	switch c.NArg() {
	case 0:
	case 1:
		if info, err := os.Stat(c.Args().First()); err == nil && info.IsDir() {
			return a.importBundle(c, c.Args().First())
		}
		if err := c.Set("identity-file", c.Args().First()); err != nil {
			return err
		}
	default:
		return pairing.Usage(fmt.Errorf("one key at a time, not %d", c.NArg()), "bootstrap identity import FILE")
	}
	return a.identityKeep(c)
}

// importBundle makes a state directory the client of a bundle: with the key and the
// device token. CLIs from 2026.8.1 on read no bundle, but a database, which they
// make at their first "openclaw config set".
func (a *app) importBundle(c *cli.Context, dir string) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	var credentials seed.Credentials
	early := os.Geteuid() != 0 || rootDecides(dir) // root may read it, and the target user may not
	if early {
		if credentials, err = readBundle(dir); err != nil {
			return err
		}
	}
	t, err := a.ready(s)
	if err != nil {
		return err
	}
	if !early {
		if credentials, err = readBundle(dir); err != nil {
			return err
		}
	}
	// Success is said when the session is closed: then all of it is on the disk.
	err = seed.InSession(c.Context, t.SessionOptions(false), func(session *seed.Session) error {
		if session.Store().Kind == seed.Staged {
			return pairing.Usage(fmt.Errorf("%s has no database yet, which this release keeps a device's token in", t.StateDir),
				"openclaw config set gateway.mode remote   makes it; then the same once more")
		}
		if _, _, err := session.Self(c.Context, credentials.Identity, identity.Identity{}); err != nil {
			return err
		}
		return session.KeepCredentials(c.Context, credentials)
	})
	if err != nil {
		return err
	}
	return a.printIdentity(c, credentials.Identity)
}

// rootDecides tells whether nobody but root can have put there what a path leads
// to, or can exchange it.
func rootDecides(path string) bool {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return false
	}
	owner, err := rights.OwnerOf(absolute, false)
	return err == nil && owner.UID == 0
}

func readBundle(dir string) (seed.Credentials, error) {
	bundle, err := seed.ReadBundle(filepath.Dir(filepath.Clean(dir)), filepath.Base(dir))
	if err == nil && bundle.Identity.IsZero() {
		err = pairing.Usage(fmt.Errorf("%s is no client's bundle", dir), "bootstrap seed --client NAME makes one")
	}
	if err != nil {
		return seed.Credentials{}, err
	}
	credentials, err := bundle.Credentials()
	if err == nil && credentials.Token == "" {
		err = pairing.Usage(fmt.Errorf("%s has no device token: its client is not paired yet", dir), "bootstrap join --name "+shell.Quote(filepath.Base(dir))+"   with the same --bundle-dir; then the same once more")
	}
	return credentials, err
}

// identityKeep makes sure that there is an identity: the imported one where
// one is given, else a new one.
func (a *app) identityKeep(c *cli.Context) error {
	s, err := a.load(c)
	if err != nil {
		return err
	}
	imported, err := a.importedIdentity(c.Context, s)
	if err != nil {
		return err
	}
	if c.Command.Name == "import" && imported.IsZero() {
		return pairing.Usage(fmt.Errorf("no key is given"), "bootstrap identity import FILE, or set BOOTSTRAP_IDENTITY")
	}
	t, err := a.ready(s)
	if err != nil {
		return err
	}
	var id identity.Identity
	var created bool
	err = seed.InSession(c.Context, t.SessionOptions(false), func(session *seed.Session) (err error) {
		id, created, err = session.Self(c.Context, imported, identity.Identity{})
		return err
	})
	if err != nil {
		return err
	}
	if !created {
		a.log.Info().Str("device", id.DeviceID()).Msg("identity is there already, nothing changed")
	}
	return a.printIdentity(c, id)
}

func (a *app) printIdentity(c *cli.Context, id identity.Identity) error {
	if c.Bool("json") {
		return a.printJSON(struct {
			DeviceID    string `json:"deviceId"`
			PublicKey   string `json:"publicKey"`
			CreatedAtMs int64  `json:"createdAtMs"`
		}{id.DeviceID(), id.PublicKey(), id.CreatedAt().UnixMilli()})
	}
	_, err := fmt.Fprintf(a.stdout, "device id   %s\npublic key  %s\n", id.DeviceID(), id.PublicKey())
	return err
}
