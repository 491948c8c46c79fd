package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Command is what an argv says. A field that the argv does not set is its zero
// value. The argv itself is not kept: it may hold a token.
type Command struct {
	Understood bool // it starts an OpenClaw gateway in the foreground

	PackageDir string // directory of the openclaw package, "" when not found

	envFiles []envFile // whose variables node sets, the later ones above the earlier

	Profile      string // --profile; "dev" for --dev before the subcommand
	Dev          bool   // --dev after the subcommand: a dev configuration, same directory and port
	Port         int
	Bind         string
	AuthMode     string // --auth
	Tailscale    string
	Token        Secret
	Password     Secret
	PasswordFile string // absolute; from about 2026.3

	// Problems names what the gateway would refuse: a malformed or missing value.
	// They hold no secrets.
	Problems []string
}

// ParseCommand reads an argv. It understands `openclaw gateway …`, with or without
// `run`, by any path or link, and the same started through node; everything else
// (another subcommand, a shell, npx, a supervisor) is not understood and not
// guessed at. PackageDir is set wherever it can be.
func ParseCommand(argv []string, env Environment) Command {
	var command Command
	if len(argv) == 0 {
		return command
	}
	arguments, ok := command.splitProgram(argv, env)
	if !ok {
		return command
	}
	parsed := command
	if parsed.parseArguments(arguments, env) {
		parsed.Understood = true
		return parsed
	}
	return command
}

// launchers are OpenClaw by their name alone; entryScripts only inside its package.
var (
	launchers    = []string{"openclaw", "openclaw.mjs"}
	entryScripts = []string{"openclaw", "openclaw.mjs", "index.js", "index.mjs", "entry.js", "entry.mjs", "package.json"}
)

var nodeName = pattern(`^node(js)?(-?\d+(\.\d+)*)?$`)

// splitProgram finds the program and returns the arguments that OpenClaw sees.
func (c *Command) splitProgram(argv []string, env Environment) ([]string, bool) {
	switch name := filepath.Base(argv[0]); {
	case slices.Contains(launchers, name):
		c.PackageDir = findPackage(findExecutable(argv[0], env))
		return argv[1:], true
	case nodeName().MatchString(name):
		index, envFiles := nodeScript(argv)
		c.envFiles = envFiles
		if index < 0 {
			return nil, false
		}
		script := resolveScript(argv[index], env)
		c.PackageDir = findPackage(script)
		ours := c.PackageDir != "" && slices.Contains(entryScripts, filepath.Base(script)) || slices.Contains(launchers, filepath.Base(argv[index]))
		return argv[index+1:], ours
	}
	return nil, false
}

// nodeValueFlags take their value from the next argument. A flag that is missing
// here does no harm: its value is then taken for the script and is not OpenClaw's.
var nodeValueFlags = []string{
	"-r", "--require", "--import", "--loader", "--experimental-loader", "-C", "--conditions",
	"--title", "--env-file", "--env-file-if-exists", "--disable-warning", "--unhandled-rejections",
	"--max-http-header-size", "--dns-result-order", "--icu-data-dir", "--openssl-config",
	"--diagnostic-dir", "--redirect-warnings", "--stack-trace-limit", "--inspect-port", "--tls-cipher-list",
}

// nodeOtherUses run something else than a script.
var nodeOtherUses = []string{"-e", "--eval", "-p", "--print", "-c", "--check", "-i", "--interactive", "-v", "--version", "-h", "--help", "--test", "--run", "-pe", "-"}

// nodeScript finds the script among node's arguments, and the files before it that
// node takes variables from. -1 is no script.
func nodeScript(argv []string) (index int, files []envFile) {
	for i := 1; i < len(argv); i++ {
		flag, value, inline := strings.Cut(argv[i], "=")
		switch {
		case argv[i] == "--":
			if i+1 < len(argv) {
				return i + 1, files
			}
			return -1, nil
		case slices.Contains(nodeOtherUses, flag):
			return -1, nil
		case !strings.HasPrefix(flag, "-"):
			return i, files
		case !inline && slices.Contains(nodeValueFlags, flag):
			if i++; i < len(argv) {
				value = argv[i]
			}
		}
		if flag == "--env-file" || flag == "--env-file-if-exists" {
			files = append(files, envFile{value, flag != "--env-file"})
		}
	}
	return -1, nil
}

// resolveScript finds the file that node would run: the name itself, the name
// with .js, or a directory with a package in it.
func resolveScript(name string, env Environment) string {
	path := resolvePath(env.Dir, name)
	if info, err := os.Stat(path); err == nil {
		if info.IsDir() && isPackage(path) {
			return filepath.Join(path, "package.json")
		}
		return path
	}
	if _, err := os.Stat(path + ".js"); err == nil {
		return path + ".js"
	}
	return path
}

func (c *Command) problem(format string, args ...any) {
	c.Problems = append(c.Problems, fmt.Sprintf(format, args...))
}

func (c *Command) setPort(value string) {
	port, ok := parsePort(trimJS(value))
	if !ok {
		c.problem("--port %.40q is not a port", value)
		return
	}
	c.Port = port
}

func (c *Command) setChoice(target *string, flag, value string, choices []string) {
	if !slices.Contains(choices, value) {
		c.problem("%s %.40q is none of %s", flag, value, strings.Join(choices, ", "))
		return
	}
	*target = value
}

// parsePort reads digits alone, 1 to 65535.
func parsePort(digits string) (int, bool) {
	if digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return 0, false
	}
	port, err := strconv.Atoi(digits)
	return port, err == nil && port >= 1 && port <= 65535
}

// The words of `gateway run --help`, 2026.2.26 to 2026.9.6.
var (
	bindModes      = []string{"loopback", "lan", "tailnet", "auto", "custom"}
	authModes      = []string{"none", "token", "password", "trusted-proxy"}
	tailscaleModes = []string{"off", "serve", "funnel"}

	rootValueFlags = []string{"--profile", "--log-level", "--container"}
	runValueFlags  = []string{"--port", "--bind", "--token", "--auth", "--password", "--password-file", "--tailscale", "--ws-log", "--raw-stream-path"}

	helpFlags   = []string{"-h", "--help", "-V", "--version"}
	profileName = pattern(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
)

// parseArguments reads OpenClaw's own arguments and tells whether they start a
// gateway. Root options may come before and after the subcommand. `gateway run`
// inherits what comes before `run`; a value given twice: the later one wins.
func (c *Command) parseArguments(arguments []string, env Environment) bool {
	var words []string
	for i := 0; i < len(arguments); i++ {
		argument := arguments[i]
		if argument == "--" {
			words = append(words, arguments[i+1:]...)
			break
		}
		if !strings.HasPrefix(argument, "-") {
			words = append(words, argument)
			continue
		}
		flag, value, inline := strings.Cut(argument, "=")
		if slices.Contains(helpFlags, flag) || flag == "--container" {
			return false // nothing is started, or it is started in another container
		}
		if flag == "--dev" {
			c.setDev(len(words) > 0)
			continue
		}
		if !slices.Contains(rootValueFlags, flag) && !slices.Contains(runValueFlags, flag) {
			continue
		}
		if !inline {
			i++
			if i >= len(arguments) {
				c.problem("%s has no value", flag)
				break
			}
			value = arguments[i]
		}
		c.setValue(flag, value, env)
	}
	return len(words) > 0 && words[0] == "gateway" && (len(words) == 1 || len(words) == 2 && words[1] == "run")
}

// setDev: before the subcommand --dev is the profile "dev" with its own directory and
// port 19001; behind `gateway` it only writes a dev configuration where there is
// none, in the usual directory and on the usual port (all releases; read in the code).
func (c *Command) setDev(afterCommand bool) {
	if afterCommand {
		c.Dev = true
		return
	}
	if c.Profile != "" && c.Profile != "dev" {
		c.problem("--dev and --profile exclude each other")
	}
	c.Profile = "dev"
}

func (c *Command) setValue(flag, value string, env Environment) {
	switch flag {
	case "--profile":
		c.setProfile(trimJS(value))
	case "--port":
		c.setPort(value)
	case "--bind":
		c.setChoice(&c.Bind, flag, value, bindModes)
	case "--auth":
		c.setChoice(&c.AuthMode, flag, value, authModes)
	case "--tailscale":
		c.setChoice(&c.Tailscale, flag, value, tailscaleModes)
	case "--token":
		c.Token = NewSecret(trimJS(value))
	case "--password":
		c.Password = NewSecret(trimJS(value))
	case "--password-file":
		c.PasswordFile = expandPath(value, env, Release{})
	}
}

func (c *Command) setProfile(name string) {
	if !profileName().MatchString(name) {
		c.problem("--profile %.40q is not a profile name", name)
		return
	}
	c.Profile = name
}
