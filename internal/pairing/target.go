// Package pairing owns the first half of the flow, and every other way to pair a
// device: which gateway is meant, which devices to pair, the check that no gateway
// runs here yet, the wait for a first boot or an owner lease, writing to the store or
// asking the gateway, bundles, and the proof. It logs to the logger that it is given,
// prints nothing and starts nothing.
//
// [Settle] makes a [Target]; its methods are the steps.
package pairing

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/rights"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Target is what a command works on: the installed gateway, the settings, and the
// environment for the gateway. Root's rights are dropped before there is one. [Settle]
// makes it, once; a step returns what it learns.
type Target struct {
	gateway.Installation
	Settings settings.Settings
	// Argv is the gateway's command; empty where this command starts none.
	Argv      []string
	Variables map[string]string
	// Starts: this command starts the gateway, and pairs once that has a store.
	Starts bool
	// Listener is nil where no gateway was started here.
	Listener *OwnListener
	// Unready is why the state directory cannot be worked in; nil where it can.
	Unready error
	Invocation
}

// Invocation is what a command hands on to its [Target].
type Invocation struct {
	// Log gets one line a step.
	Log zerolog.Logger
	// OwnCommand writes a command of ours out for a hint, with the flags typed here.
	OwnCommand func(name string, arguments ...string) string
	// Version is ours, for the gateway's log.
	Version string
}

// What is started here, for people.
func (t *Target) What() string {
	if t.Command.Understood {
		return "the gateway"
	}
	return "the command"
}

// ShownURL is where the gateway answers, for people and logs: without a query,
// which may hold a token.
func (t *Target) ShownURL() string { return protocol.DisplayURL(t.URL) }

// isClients tells whether the state directory is one of a client, by its configuration: no
// gateway reads the pairings in it, but one that is started there all the same.
func (t *Target) isClients() bool { return t.Config.Mode == "remote" && !t.Command.Understood }

// MayPair is an error where what is written into the state directory would reach no
// gateway. A gateway's own command is started all the same.
func (t *Target) MayPair() error {
	switch {
	case t.Command.Understood:
		return nil
	case t.MovedTo != "":
		return Usage(fmt.Errorf("the .env file or the configuration in %s leads to another state directory, which some releases follow", t.StateDir),
			"say in the environment which one is meant: OPENCLAW_STATE_DIR="+shell.Quote(t.MovedTo)+"   or OPENCLAW_STATE_DIR="+shell.Quote(t.StateDir))
	case t.Settings.GatewayURL != "" || !t.isClients():
		return nil
	}
	remote := "wss://HOST:PORT"
	if url := settings.URL(""); url.UnmarshalText([]byte(t.Config.RemoteURL)) == nil {
		remote = protocol.DisplayURL(string(url))
	}
	return Usage(fmt.Errorf("gateway.mode is remote in %s: the state directory is that of a client, and no gateway reads a pairing in it", t.ConfigPath),
		"to pair a client with the gateway that is meant: bootstrap join --name NAME --gateway-url "+shell.Quote(remote))
}

// Environ is the environment for the gateway: without our own secrets.
func (t *Target) Environ() []string {
	variables := maps.Clone(t.Variables)
	for _, field := range settings.Fields() {
		if field.Secret {
			delete(variables, field.Env)
		}
	}
	return EnvironOf(variables)
}

// SeedOptions are for reading the stores.
func (t *Target) SeedOptions() seed.Options {
	imports := t.Release.ImportsPairings()
	return seed.Options{
		StateDir: t.StateDir, Era: t.Release.Era(), LockTimeout: t.Settings.LockTimeout, Log: t.Log,
		Stage: t.Release.Era() == gateway.EraSQLite && (t.Starts || !imports), Withdraw: t.Starts && !imports,
		Adopt: t.Starts, Booting: t.bootingPID,
	}
}

// HastyOptions are for reading the stores without waiting for a gateway that boots.
func (t *Target) HastyOptions() seed.Options {
	options := t.SeedOptions()
	options.Hasty = true
	return options
}

// TLS is what is trusted of a gateway. That of this state directory has a certificate of
// its own there, which its CLI pins, too (2026.9.6).
func (t *Target) TLS() protocol.TLSOptions {
	options := tlsOptions(t.Settings)
	if t.Listen.TLS {
		options.Own, options.OwnAddress = t.Listen.Certificate, t.Listen.Address()
	}
	return options
}

// IsChecked is an error where the gateway is asked by ws://, beside what TLS is to be
// checked with: the device token would cross the network in clear, though that was meant to
// be safe. [Target.TLS] is for pages and for the gateway here, too, so that is no fault of
// the settings alone.
func (t *Target) IsChecked() error {
	s, given := t.Settings, strings.HasPrefix(string(t.Settings.GatewayURL), "ws:")
	if !given || t.Command.Understood && t.Listen.TLS || s.CAFile == "" && s.Fingerprint == "" {
		return nil
	}
	return Usage(errors.New("--gateway-url (OPENCLAW_GATEWAY_URL) with ws:// has no TLS, so that --ca-file (BOOTSTRAP_CA_FILE) or --tls-fingerprint (BOOTSTRAP_TLS_FINGERPRINT) would protect nothing"),
		"write wss://, or leave that out")
}

func tlsOptions(s settings.Settings) protocol.TLSOptions {
	return protocol.TLSOptions{CAFile: s.CAFile, PinnedFingerprint: string(s.Fingerprint)}
}

// SharedSecret is what the gateway asks everybody for, by its own settings.
func (t *Target) SharedSecret() (token, password string) {
	if t.Auth.Mode == gateway.AuthPassword {
		return "", t.Auth.Secret.Reveal()
	}
	return t.Auth.Secret.Reveal(), ""
}

// Settle finds the gateway, becomes the user whom its state directory belongs to,
// and only then lets anything read or write state. Secrets that root alone can read
// are read before. With prepare it makes the state directory where there is none;
// [Target.Unready] says that this failed. vars are the environment, which it may
// change.
func Settle(by Invocation, s settings.Settings, argv []string, vars map[string]string, prepare bool) (*Target, error) {
	stateDir, err := locate(s, argv, vars)
	if err != nil {
		return nil, err
	}
	user, drop, err := runAs(s, stateDir, prepare)
	if err != nil {
		return nil, err
	}
	var unready error
	var unpinned map[string]string
	if drop {
		if s.User == "" {
			// Another home must not lead to another state directory.
			if vars["OPENCLAW_STATE_DIR"] == "" {
				unpinned = maps.Clone(vars)
			}
			vars["OPENCLAW_STATE_DIR"] = stateDir
		}
		// Its descriptor is not handed on, and Node aborts where it is closed.
		delete(vars, "NODE_CHANNEL_FD")
		vars = Variables(user.Env(EnvironOf(vars)))
		if stateDir, err = locate(s, argv, vars); err != nil {
			return nil, err
		}
		if prepare {
			unready = rights.PrepareStateDir(stateDir, user)
		}
		if err := rights.Drop(user, s.AllowEscalation); err != nil {
			return nil, err
		}
	}
	// As the user who reads it at each connect, and before anything is started.
	if err := tlsOptions(s).Check(); err != nil {
		return nil, &usageError{err: fmt.Errorf("--ca-file (BOOTSTRAP_CA_FILE): %w", err)}
	}
	if unready == nil && prepare {
		// Once more, without root's eyes: is the directory in reach?
		unready = rights.PrepareStateDir(stateDir, user)
	}
	if prepare && user.UID == 0 && s.User == "" {
		// Missing in /tmp it could have become anybody's meanwhile.
		if err := rights.RequireRoots(stateDir); err != nil {
			return nil, err
		}
	}
	environment, overrides := gatewayInput(s, vars)
	installation, err := gateway.Inspect(argv, environment, overrides)
	leadsTo := installation.StateDir
	if err == nil && unpinned != nil {
		// What we have set wins over files that would lead elsewhere.
		environment, overrides := gatewayInput(s, unpinned)
		if free, unknown := gateway.Inspect(argv, environment, overrides); unknown == nil {
			leadsTo, installation.MovedTo = free.StateDir, free.MovedTo
		}
	}
	if err == nil && leadsTo != stateDir {
		// Root settled in a directory without having read node's --env-file, which others may have written.
		return nil, Usage(fmt.Errorf("the gateway's --env-file leads to %s, and root does not follow it", leadsTo),
			"set it in the environment: OPENCLAW_STATE_DIR="+shell.Quote(leadsTo))
	}
	return &Target{
		Installation: installation, Settings: s, Argv: argv, Variables: vars, Invocation: by,
		Starts: prepare && len(argv) > 0, Unready: unready,
	}, packageError(err)
}

// InspectAgain finds out what is installed, and how it is configured, at this moment: a
// hook may have changed that since [Settle].
func (t *Target) InspectAgain() (gateway.Installation, error) {
	environment, overrides := gatewayInput(t.Settings, maps.Clone(t.Variables))
	return gateway.Inspect(t.Argv, environment, overrides)
}

// AuthNow is the target with the secret that the gateway's configuration has at this
// moment: a gateway takes another one over while it runs.
func (t *Target) AuthNow() *Target {
	now, err := t.InspectAgain()
	if err != nil || now.StateDir != t.StateDir {
		return t
	}
	again := *t
	again.Auth = now.Auth
	return &again
}

// locate finds the state directory without reading anything in it.
func locate(s settings.Settings, argv []string, variables map[string]string) (string, error) {
	environment, overrides := gatewayInput(s, variables)
	stateDir, err := gateway.Locate(argv, environment, overrides)
	return stateDir, packageError(err)
}

// gatewayInput is what [gateway.Inspect] takes.
func gatewayInput(s settings.Settings, variables map[string]string) (gateway.Environment, gateway.Overrides) {
	environment := gateway.CurrentEnvironment(variables)
	if s.StateDir != "" {
		variables["OPENCLAW_STATE_DIR"] = s.StateDir
	}
	return environment, gateway.Overrides{StateDir: s.StateDir, PackageDir: s.GatewayPackage, URL: string(s.GatewayURL)}
}

func packageError(err error) error {
	if errors.As(err, new(*gateway.PackageError)) {
		return &usageError{err: fmt.Errorf("--gateway-package (BOOTSTRAP_GATEWAY_PACKAGE): %w", err)}
	}
	return err
}

// runAs decides who to be: the user asked for, or, as root, whoever owns the
// state directory or could put another in its place. drop is false where this
// process is that user already.
func runAs(s settings.Settings, stateDir string, prepare bool) (user rights.User, drop bool, err error) {
	if s.User != "" {
		user, err = rights.LookupUser(string(s.User))
		return user, true, err
	}
	current := rights.User{UID: os.Geteuid(), GID: os.Getegid()}
	if current.UID != 0 {
		return current, false, nil
	}
	user, err = rights.OwnerOf(stateDir, prepare)
	if err == nil && user.UID == 0 {
		return current, false, nil
	}
	return user, true, err
}

// EnvironOf is the other way round than [Variables], in the order of the names.
func EnvironOf(variables map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		out = append(out, name+"="+variables[name])
	}
	return out
}

// Variables is an environment as a map; of a name that is there twice the
// first one counts, as for getenv.
func Variables(environ []string) map[string]string {
	out := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, there := out[name]; !there {
			out[name] = value
		}
	}
	return out
}
