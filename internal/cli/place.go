package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// place is where a command works: what is installed, and the environment that
// a gateway there gets. By the time there is one, rights are dropped.
type place struct {
	gateway.Installation
	argv      []string
	variables map[string]string
	// unready is why the state folder cannot be worked in; nil where it can.
	unready error
}

func (p place) stateDir() string { return p.StateDir }

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
	return seed.Options{StateDir: p.StateDir, Era: p.Release.Era(), LockTimeout: s.LockTimeout}
}

// settle finds the gateway, becomes the user whom its state folder belongs to,
// and only then lets anything read or write state. Secrets that root alone can
// read are read before. With prepare it makes the state folder where there is
// none; that this failed is told by place.unready.
func (a *app) settle(s settings.Settings, argv []string, prepare bool) (place, error) {
	vars := variables(a.environ)
	if s.GatewayTokenFile != "" {
		token, err := readSecret(s.GatewayTokenFile)
		if err == nil && token == "" {
			err = errors.New("it is empty")
		}
		if err != nil {
			return place{}, &usageError{err: fmt.Errorf("--gateway-token-file (OPENCLAW_GATEWAY_TOKEN_FILE): cannot read %s: %w", s.GatewayTokenFile, err)}
		}
		vars["OPENCLAW_GATEWAY_TOKEN"] = token
	}
	p, err := inspect(s, argv, vars)
	if err != nil {
		return place{}, err
	}
	user, drop, err := runAs(s, p.StateDir)
	if err != nil {
		return p, err
	}
	if drop {
		if s.User == "" {
			// Another home must not lead to another state folder.
			vars["OPENCLAW_STATE_DIR"] = p.StateDir
		}
		if p, err = inspect(s, argv, variables(user.Env(environOf(vars)))); err != nil {
			return place{}, err
		}
		if prepare {
			p.unready = launch.PrepareStateDir(p.StateDir, user)
		}
		if err := launch.Drop(user); err != nil {
			return place{}, err
		}
	}
	if p.unready == nil && prepare {
		// Once more, without root's eyes: is the folder in reach?
		p.unready = launch.PrepareStateDir(p.StateDir, user)
	}
	return p, nil
}

// inspect asks what is installed, as a process with these variables sees it.
func inspect(s settings.Settings, argv []string, variables map[string]string) (place, error) {
	environment := gateway.CurrentEnvironment()
	environment.Vars = variables
	if s.StateDir != "" {
		variables["OPENCLAW_STATE_DIR"] = s.StateDir
	}
	installation, err := gateway.Inspect(argv, environment, gateway.Overrides{
		StateDir: s.StateDir, PackageDir: s.GatewayPackage, URL: string(s.GatewayURL),
	})
	var wrong *gateway.PackageError
	if errors.As(err, &wrong) {
		err = &usageError{err: fmt.Errorf("--gateway-package (BOOTSTRAP_GATEWAY_PACKAGE): %w", err)}
	}
	return place{Installation: installation, argv: argv, variables: variables}, err
}

// runAs decides who to be: the user asked for, or, as root, the owner of the
// state folder. drop is false where this process is that user already.
func runAs(s settings.Settings, stateDir string) (user launch.User, drop bool, err error) {
	if s.User != "" {
		user, err = launch.LookupUser(string(s.User))
		return user, true, err
	}
	current := launch.User{UID: os.Geteuid(), GID: os.Getegid()}
	if current.UID != 0 {
		return current, false, nil
	}
	user, err = launch.OwnerOf(stateDir)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && user.UID == 0) {
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
