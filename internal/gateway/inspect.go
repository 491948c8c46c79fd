// Package gateway knows what is installed and where: what an argv starts, which
// release that is, which directory keeps its state, which address and port it will
// listen on, and which token it will ask for.
//
// It answers as the gateway itself would, because a wrong guess seeds the wrong
// store. Every rule was read in the published packages and, where marked
// "measured", seen on a running gateway; the releases compared are 2026.2.26,
// 2026.3.13, 2026.4.29, 2026.5.7, 2026.5.28, 2026.7.35, 2026.8.2 and 2026.9.6.
// A release that is not known is taken for a new one.
//
// The room only reads: it never writes, starts, signals or logs anything, and it
// never opens the database. What the process environment holds comes in as a
// value (Environment), so that every answer can be tested. Where an answer is not
// certain it says so (InDoubt, Problems) and continues; only a package directory that
// was named and cannot be read is an error.
package gateway

import (
	"cmp"
	"fmt"
	"os"
	"slices"
	"strings"
)

// Overrides are what the user of bootstrap said outright. Empty fields say nothing.
type Overrides struct {
	StateDir   string // counts as OPENCLAW_STATE_DIR
	PackageDir string // counts instead of what argv leads to
	URL        string // counts instead of the address worked out
}

// Installation is everything that is known about a gateway before it runs.
type Installation struct {
	Command    Command
	PackageDir string // "" when none was found
	Release    Release
	StateDir   string
	MovedTo    string // where a file in StateDir says that it is instead, which 2026.9.6 follows
	ConfigPath string
	Config     Config
	Auth       Auth
	Listen     Listen
	URL        string // where to probe it from this host

	// InDoubt collects why parts of this may not be what the gateway will see, in
	// sentences without secrets. Problems names values the gateway will refuse or
	// pass over.
	InDoubt  []string
	Problems []string
}

// PackageError says that a directory given as OpenClaw's package is not one.
type PackageError struct {
	Dir string
	Err error // why it cannot be read, nil when it is another package
}

func (e *PackageError) Error() string {
	if e.Err != nil {
		return fmt.Sprintf("cannot use %s as gateway package: %v", e.Dir, e.Err)
	}
	return fmt.Sprintf("cannot use %s as gateway package: its package.json is not openclaw's", e.Dir)
}

func (e *PackageError) Unwrap() error { return e.Err }

// Inspect works out an installation from a gateway argv, or, with an empty argv,
// from the `openclaw` in PATH. The only error is a *PackageError about the directory
// in overrides.
func Inspect(argv []string, env Environment, overrides Overrides) (Installation, error) {
	in, env, err := locate(argv, env, overrides)
	if err != nil {
		return Installation{}, err
	}
	profile := in.Command.Profile
	in.ConfigPath = ConfigPath(env, profile, in.Release)

	env = withProfile(env, profile, in.Release)
	vars := newVariables(env.Vars)
	in.InDoubt = append(in.InDoubt, loadDotenv(vars, env, in.Release, in.StateDir)...)
	in.Config = readConfig(in.ConfigPath, env, in.Release, vars)
	env.Vars = vars.values
	if dir := stateDir(env, in.Release); dir != in.StateDir && !sameDir(dir, in.StateDir) {
		in.MovedTo = dir
	}
	in.Auth = resolveAuth(in.Command, in.Config, vars)
	if len(in.InDoubt) > 0 && in.Auth.Source.Kind != SourceArgv && in.Auth.InDoubt == "" {
		in.Auth.InDoubt = strings.Join(in.InDoubt, "; ")
	}
	in.Listen = resolveListen(in.Command, in.Config, vars, env, in.Release)
	in.URL = cmp.Or(overrides.URL, in.Listen.URL())
	for _, doubt := range []string{in.Config.InDoubt, in.Auth.InDoubt} {
		if doubt != "" && !slices.Contains(in.InDoubt, doubt) {
			in.InDoubt = append(in.InDoubt, doubt)
		}
	}
	in.Problems = append(in.Problems, in.Command.Problems...)
	in.Problems = append(in.Problems, in.Listen.Problems...)
	return in, nil
}

// Locate finds the state directory, and reads nothing in it: for a process that has
// yet to become the user whom the directory belongs to. Errors are as for Inspect.
func Locate(argv []string, env Environment, overrides Overrides) (stateDir string, err error) {
	in, _, err := locate(argv, env, overrides)
	return in.StateDir, err
}

// locate is the part of Inspect that reads the installed package alone, and node's
// --env-file. It returns the environment with the overrides and that in it.
func locate(argv []string, env Environment, overrides Overrides) (in Installation, _ Environment, err error) {
	if overrides.StateDir != "" {
		env = env.with("OPENCLAW_STATE_DIR", overrides.StateDir)
	}
	in.Command = ParseCommand(argv, env)
	if len(in.Command.envFiles) > 0 {
		env, in.InDoubt = env.withEnvFiles(in.Command.envFiles)
	}
	if err := in.findRelease(env, overrides.PackageDir, len(argv) > 0); err != nil {
		return Installation{}, env, err
	}
	in.StateDir = StateDir(env, in.Command.Profile, in.Release)
	return in, env, nil
}

func (in *Installation) findRelease(env Environment, packageDir string, hasArgv bool) error {
	in.PackageDir = in.Command.PackageDir
	switch {
	case packageDir != "":
		found, err := readManifest(resolvePath(env.Dir, packageDir))
		if err != nil || found.Name != packageName {
			return &PackageError{Dir: packageDir, Err: err}
		}
		in.PackageDir = resolvePath(env.Dir, packageDir)
	case in.PackageDir == "" && !hasArgv:
		in.PackageDir = findPackage(findExecutable(packageName, env))
	}
	release, err := ReadRelease(in.PackageDir)
	switch {
	case err != nil && packageDir != "":
		return &PackageError{Dir: packageDir, Err: err}
	case err != nil:
		in.Problems = append(in.Problems, err.Error())
	}
	in.Release = release
	return nil
}

// NeedsToken tells whether this gateway would refuse to listen because it has no token:
// it wants one, there is none anywhere, and it binds beyond loopback ("Refusing to
// bind gateway to lan without auth.", exit 78, measured on 2026.5.28 and 2026.9.6).
// On loopback it makes one for the run and keeps it to itself; up to 2026.5.7 it
// makes one in any case and writes it into openclaw.json, except for the oldest,
// which refuse everywhere. In doubt, or for a command that was not understood, the
// answer is no.
func (in Installation) NeedsToken() bool {
	switch {
	case !in.Command.Understood, in.Auth.Mode != AuthToken, in.Auth.Secret.IsSet():
		return false
	case len(in.InDoubt) > 0:
		return false
	case in.Release.WantsGivenToken():
		return true
	case in.Listen.Loopback(), in.Release.MakesOwnToken():
		return false
	}
	return true
}

// sameDir tells whether two paths lead to one directory, as a link to a volume does.
func sameDir(a, b string) bool {
	one, err := os.Stat(a)
	if err != nil {
		return false
	}
	other, err := os.Stat(b)
	return err == nil && os.SameFile(one, other)
}
