package gateway

import (
	"slices"
	"strings"
)

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
// gateway. Root options may stand before and after the subcommand. `gateway run`
// inherits what stands before `run`; a value given twice: the later one wins.
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

// setDev: before the subcommand --dev is the profile "dev" with its own folder and
// port 19001; behind `gateway` it only writes a dev configuration where there is
// none, in the usual folder and on the usual port (all releases; read in the code).
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
