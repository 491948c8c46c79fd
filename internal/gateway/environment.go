package gateway

import (
	"cmp"
	"io/fs"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"github.com/reflectt/bootstrap/internal/shell"
)

// Environment is everything outside the arguments that decides what a gateway
// does. Describe the process that will run the gateway, not the one that asks:
// after a privilege drop that is another user with another home.
type Environment struct {
	Vars map[string]string // environment variables
	Home string            // home from the user database: what Node's os.homedir() falls back to
	Dir  string            // working directory, absolute

	// AsRoot: what is found out is done with root's rights still to lose, so that no file is
	// followed to a state directory: others may have written it.
	AsRoot    bool
	Container bool // the gateway would find itself in a container (see InContainer)
	// TailnetIPv4 is this host's first address in 100.64.0.0/10, "" without one;
	// asked for only where the gateway would ask.
	TailnetIPv4 func() string
}

// CurrentEnvironment describes this process, as it is now, with these variables.
func CurrentEnvironment(vars map[string]string) Environment {
	env := Environment{Vars: vars, AsRoot: os.Geteuid() == 0}
	// Not user.Current, which caches the user from before the drop.
	if account, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		env.Home = account.HomeDir
	}
	if dir, err := os.Getwd(); err == nil {
		env.Dir = dir
	}
	env.Container = InContainer(env.Vars, "/")
	env.TailnetIPv4 = tailnetIPv4
	return env
}

var containerCgroup = pattern(`/docker/|cri-containerd-[0-9a-f]|containerd/[0-9a-f]{64}|/kubepods[/.]|\blxc\b`)

// InContainer asks what gateways from 2026.4.29 ask before they choose their
// default bind: a Fly machine, a sentinel file, or a telling cgroup of process 1.
// root is "/" outside tests.
func InContainer(vars map[string]string, root string) bool {
	if trimJS(vars["FLY_MACHINE_ID"]) != "" && trimJS(vars["FLY_APP_NAME"]) != "" {
		return true
	}
	for _, sentinel := range []string{".dockerenv", "run/.containerenv", "var/run/.containerenv"} {
		if _, err := os.Stat(filepath.Join(root, sentinel)); err == nil {
			return true
		}
	}
	cgroup, err := os.ReadFile(filepath.Join(root, "proc/1/cgroup"))
	return err == nil && containerCgroup().Match(cgroup)
}

func tailnetIPv4() string {
	tailnet := netip.MustParsePrefix("100.64.0.0/10")
	interfaces, err := net.Interfaces()
	if err != nil {
		return ""
	}
	for _, link := range interfaces {
		if link.Flags&net.FlagLoopback != 0 {
			continue
		}
		addresses, err := link.Addrs()
		if err != nil {
			continue
		}
		for _, address := range addresses {
			prefix, err := netip.ParsePrefix(address.String())
			if err == nil && tailnet.Contains(prefix.Addr()) {
				return prefix.Addr().String()
			}
		}
	}
	return ""
}

// with returns a copy in which one variable has another value.
func (env Environment) with(name, value string) Environment {
	vars := make(map[string]string, len(env.Vars)+1)
	maps.Copy(vars, env.Vars)
	vars[name] = value
	env.Vars = vars
	return env
}

// trimmed is a variable as the gateway reads paths and ports: without the white
// space around it, an empty one being no value.
func (env Environment) trimmed(name string) string { return trimJS(env.Vars[name]) }

// trimJS trims what JavaScript's trim does: a byte order mark too.
func trimJS(s string) string { return strings.TrimFunc(s, isSpaceJS) }

func isSpaceJS(r rune) bool {
	return r == '\ufeff' || r != '\u0085' && unicode.IsSpace(r)
}

// homeDir is the gateway's idea of home: OPENCLAW_HOME (which may start with ~),
// HOME, USERPROFILE, the user database, and at last the working directory.
func homeDir(env Environment, release Release) string {
	explicit := homeValue(env.Vars["OPENCLAW_HOME"], release)
	system := systemHome(env, release)
	if explicit == "" {
		return resolvePath(env.Dir, system)
	}
	rest, tilde := cutTilde(explicit)
	if !tilde {
		return resolvePath(env.Dir, explicit)
	}
	if system == "" {
		return resolvePath(env.Dir, "")
	}
	return resolvePath(env.Dir, system+rest)
}

func systemHome(env Environment, release Release) string {
	return cmp.Or(homeValue(env.Vars["HOME"], release), homeValue(env.Vars["USERPROFILE"], release), homeValue(env.Home, release))
}

// homeValue drops the words that careless scripts leave behind: from 2026.5.28
// the gateway ignores a home that is literally "undefined" or "null".
func homeValue(value string, release Release) string {
	value = trimJS(value)
	if release.since(2026, 5, 28) && (value == "undefined" || value == "null") {
		return ""
	}
	return value
}

// expandPath makes a path from the environment absolute: ~ and ~/x are home.
func expandPath(path string, env Environment, release Release) string {
	path = trimJS(path)
	if path == "" {
		return ""
	}
	if rest, ok := cutTilde(path); ok {
		path = homeDir(env, release) + rest
	}
	return resolvePath(env.Dir, path)
}

// cutTilde splits "~/x" into "/x". "~name" is no home: the gateway takes it for
// an ordinary file name.
func cutTilde(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "~")
	return rest, ok && (rest == "" || rest[0] == '/' || rest[0] == '\\')
}

// resolvePath is Node's path.resolve against a working directory.
func resolvePath(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}

// findExecutable is the absolute path of a program; empty where none can be run.
func findExecutable(name string, env Environment) string {
	found := name
	if !strings.Contains(name, "/") {
		found, _ = shell.FindProgram(name, filepath.SplitList(env.Vars["PATH"]), func(path string) error { return isExecutable(resolvePath(env.Dir, path)) })
	}
	if found = resolvePath(env.Dir, found); isExecutable(found) != nil {
		return ""
	}
	return found
}

// isExecutable looks at the mode bits alone: who will run the command is not
// settled yet, and root's own rights would hide a missing bit.
func isExecutable(path string) error {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		err = fs.ErrPermission
	}
	return err
}

// pattern compiles an expression when it is first needed: most starts need none,
// and all of them together take longer than reading the whole installation.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
