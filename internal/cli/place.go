package cli

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/rights"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// place is where a command works: what is installed, and the environment that
// a gateway there gets. By the time there is one, rights are dropped.
type place struct {
	gateway.Installation
	argv      []string
	variables map[string]string
	// starts: this command starts the gateway, and pairs once that has a store.
	starts bool
	// listener is nil where no gateway was started here.
	listener *ownListener
	// unready is why the state folder cannot be worked in; nil where it can.
	unready error
}

// what is started here, for people.
func (p place) what() string {
	if p.Command.Understood {
		return "the gateway"
	}
	return "the command"
}

func (p place) stateDir() string { return p.StateDir }

// shownURL is where the gateway answers, for people and logs: without a query,
// which may hold a token.
func (p place) shownURL() string { return protocol.DisplayURL(p.URL) }

// environ is the environment for the gateway: without our own secrets.
func (p place) environ() []string {
	variables := maps.Clone(p.variables)
	for _, field := range settings.Fields() {
		if field.Secret {
			delete(variables, field.Env)
		}
	}
	var out []string
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		out = append(out, name+"="+variables[name])
	}
	return out
}

func (p place) seedOptions(s settings.Settings) seed.Options {
	imports := p.Release.ImportsPairings()
	return seed.Options{
		StateDir: p.StateDir, Era: p.Release.Era(), LockTimeout: s.LockTimeout,
		Stage: p.Release.Era() == gateway.EraSQLite && (p.starts || !imports), Withdraw: p.starts && !imports,
		Adopt: p.starts,
	}
}

// settle finds the gateway, becomes the user whom its state folder belongs to,
// and only then lets anything read or write state. Secrets that root alone can
// read are read before. With prepare it makes the state folder where there is
// none; that this failed is told by place.unready.
func (a *app) settle(s settings.Settings, argv []string, prepare bool) (place, error) {
	vars := variables(a.environ)
	if s.GatewayTokenFile != "" {
		token, err := readToken(s.GatewayTokenFile)
		if err != nil {
			return place{}, &usageError{err: fmt.Errorf("--gateway-token-file (OPENCLAW_GATEWAY_TOKEN_FILE): %w", err)}
		}
		vars["OPENCLAW_GATEWAY_TOKEN"] = token
	}
	stateDir, err := locate(s, argv, vars)
	if err != nil {
		return place{}, err
	}
	user, drop, err := runAs(s, stateDir, prepare)
	if err != nil {
		return place{}, err
	}
	var unready error
	if drop {
		if s.User == "" {
			// Another home must not lead to another state folder.
			vars["OPENCLAW_STATE_DIR"] = stateDir
		}
		// Its descriptor is not handed on, and Node aborts where it is closed.
		delete(vars, "NODE_CHANNEL_FD")
		vars = variables(user.Env(environOf(vars)))
		if stateDir, err = locate(s, argv, vars); err != nil {
			return place{}, err
		}
		if prepare {
			unready = rights.PrepareStateDir(stateDir, user)
		}
		if err := rights.Drop(user, s.AllowEscalation); err != nil {
			return place{}, err
		}
	}
	// As the user who reads it at each connect, and before anything is started.
	if err := tlsOptions(s).Check(); err != nil {
		return place{}, &usageError{err: fmt.Errorf("--ca-file (BOOTSTRAP_CA_FILE): %w", err)}
	}
	if unready == nil && prepare {
		// Once more, without root's eyes: is the folder in reach?
		unready = rights.PrepareStateDir(stateDir, user)
	}
	if prepare && user.UID == 0 && s.User == "" {
		// Missing in /tmp it could have become anybody's meanwhile.
		if err := rights.RequireRoots(stateDir); err != nil {
			return place{}, err
		}
	}
	p, err := inspect(s, argv, vars)
	p.unready, p.starts = unready, prepare && len(argv) > 0
	return p, err
}

// locate finds the state folder without reading anything in it.
func locate(s settings.Settings, argv []string, variables map[string]string) (string, error) {
	environment, overrides := asked(s, variables)
	stateDir, err := gateway.Locate(argv, environment, overrides)
	return stateDir, packageError(err)
}

// inspect asks what is installed, as a process with these variables sees it.
func inspect(s settings.Settings, argv []string, variables map[string]string) (place, error) {
	environment, overrides := asked(s, variables)
	installation, err := gateway.Inspect(argv, environment, overrides)
	return place{Installation: installation, argv: argv, variables: variables}, packageError(err)
}

// asked is what the gateway room is asked with.
func asked(s settings.Settings, variables map[string]string) (gateway.Environment, gateway.Overrides) {
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

// environOf is the other way round than [variables].
func environOf(variables map[string]string) []string {
	var out []string
	for name, value := range variables {
		out = append(out, name+"="+value)
	}
	return out
}

func (a *app) now() time.Time { return time.Now() }
