// Package cli owns the commands: what they are called, their flags and help, what
// a person reads, and which exit code an error becomes. Each calls one or two
// functions of the other rooms.
//
// Start with run.go: it is the whole flow.
package cli

import (
	"errors"
	"fmt"
	"io"
	"log"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/entrypoint"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/shell"
)

// app is one run of the program: its environment, output and log.
type app struct {
	environ  []string
	stdout   io.Writer
	stderr   *logWriter
	log      zerolog.Logger
	stopping stopping
	// helps: this is the helper of an exec handover, with the command line of that and
	// the gateway's environment, in which the secrets are.
	helps bool
	// typed are the flags of this command line, by their names.
	typed map[string]*cli.Context
	// hints has what [app.typedCommand] returned, by the name of the command.
	hints sync.Map
}

// Main runs the program and returns its exit code. argv and environ are as the
// process got them.
func Main(argv, environ []string, stdout, stderr io.Writer) int {
	signals := launch.Catch() // first of all: until then Go's own answers count
	ignorePipeSignal()
	out := &printout{to: stdout}
	a := &app{environ: environ, stdout: out, stderr: newLogWriter(stderr)}
	defer a.stderr.flush()
	a.logTo(settings.FormatAuto)
	log.SetOutput(a.stderr) //nolint:forbidigo // what libraries say, http.Server above all, must not block either
	err := a.runUntilSignal(argv, signals)
	if out.unread && (err == nil || errors.Is(err, syscall.EPIPE)) {
		return int(Signalled) + int(syscall.SIGPIPE) // as any program that SIGPIPE ends
	}
	a.report(err)
	return int(codeOf(err))
}

// rewriteArgs accepts the forms that other programs use:
// --version, and help with the words of a command.
func rewriteArgs(argv []string) []string {
	switch {
	case len(argv) == 2 && (argv[1] == "--version" || argv[1] == "-v"):
		return []string{argv[0], "version"}
	case len(argv) > 2 && argv[1] == "help":
		return slices.Concat(argv[:1], argv[2:], []string{"--help"})
	}
	return argv
}

func (a *app) commands() *cli.App {
	commands := []*cli.Command{
		a.runCommand(), a.seedCommand(), a.probeCommand(), a.statusCommand(), a.approveCommand(),
		a.joinCommand(), a.linkCommand(), a.bridgeCommand(), a.identityCommand(), a.versionCommand(),
	}
	complete(commands, lineWidth(a.stdout))
	return &cli.App{
		Name:                 "bootstrap",
		Usage:                "pair an OpenClaw gateway's operators before it starts",
		UsageText:            "bootstrap COMMAND [OPTION...] [ARGUMENT...]",
		HideVersion:          true,
		EnableBashCompletion: true,
		Writer:               a.stdout,
		ErrWriter:            a.stderr,
		// Errors are reported once, by Main, with an exit code of ours.
		ExitErrHandler: func(*cli.Context, error) {},
		OnUsageError:   onUsageError,
		Action:         a.noCommand,
		Commands:       commands,
	}
}

// noCommand runs for a missing or unknown command.
func (a *app) noCommand(c *cli.Context) error {
	if c.NArg() == 0 {
		if c.Command != nil && len(c.Lineage()) > 2 {
			return cli.ShowSubcommandHelp(c)
		}
		return cli.ShowAppHelp(c)
	}
	hint := "bootstrap --help"
	if len(c.Lineage()) > 2 {
		hint = "bootstrap " + commandName(c) + " --help"
	} else if _, err := launch.Find(c.Args().First(), a.environ); err == nil {
		hint = "to start it as the gateway: bootstrap run -- " + shell.Quote(c.Args().First()) + " ...   else: bootstrap --help"
	}
	return pairing.Usage(fmt.Errorf("there is no command %q", c.Args().First()), hint)
}

// commandName is what a command is called by, such as "seed revoke".
func commandName(c *cli.Context) string { return strings.TrimPrefix(c.Command.HelpName, "bootstrap ") }

func onUsageError(c *cli.Context, err error, _ bool) error {
	hint := "bootstrap --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "bootstrap" {
		hint = "bootstrap " + commandName(c) + " --help"
	}
	if c.Command != nil && c.Command.Name == "run" {
		hint = "the gateway's own flags follow its command: bootstrap run -- " + pairing.ExampleGateway + "   ours: bootstrap run --help"
	}
	return pairing.Usage(unreadable(err), hint)
}

// parseError is what the library says of a value that a flag cannot take.
var parseError = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^invalid (boolean )?value (".*") for (?:flag )?-([a-z-]+): parse error$`)
})

// unreadable says which form a value has to have, where the library does not.
// No flag but those for times and switches has a form of its own.
func unreadable(err error) error {
	parts := parseError().FindStringSubmatch(err.Error())
	if parts == nil {
		return err
	}
	value, quoted := strconv.Unquote(parts[2])
	if quoted != nil {
		return err
	}
	_, wrong := settings.ParseTime(value)
	if parts[1] != "" {
		_, wrong = settings.ParseBool(value)
	}
	if wrong == nil {
		return err
	}
	return fmt.Errorf("--%s: %w", parts[3], wrong)
}

// noArguments guards a command that takes none: what is typed by mistake, an
// address or a name, would otherwise be passed over.
func noArguments(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return pairing.Usage(fmt.Errorf("%s takes no argument such as %q", commandName(c), c.Args().First()),
				"bootstrap "+commandName(c)+" --help")
		}
		return action(c)
	}
}

// load reads the settings of a command and sets the log up as they say.
func (a *app) load(c *cli.Context) (settings.Settings, error) {
	typed, err := typedFlags(c)
	if err != nil {
		return settings.Settings{}, err
	}
	a.typed = typed
	a.hints.Clear()
	given := map[string]string{}
	for _, field := range settings.Fields() {
		from := typed[field.Flag]
		switch {
		case from == nil:
		case field.Bool:
			given[field.Env] = fmt.Sprint(from.Bool(field.Flag))
		case field.Repeatable:
			given[field.Env] = strings.Join(from.StringSlice(field.Flag), ",")
		default:
			given[field.Env] = from.String(field.Flag)
		}
	}
	if a.helps {
		delete(given, tokenFileVariable)
		delete(given, passwordFileVariable)
	}
	environ := pairing.Variables(a.environ)
	if !readsManifest(c) {
		delete(environ, manifestVariable)
	}
	s, err := settings.Load(environ, given)
	a.logTo(s.LogFormat)
	return s, err
}

// readsManifest is false for a command to which the clients do not matter: a manifest is
// edited while the gateway runs, and a slip in it makes no HEALTHCHECK fail, and keeps
// nobody from revoking a token. A bridge looks there for who may join it.
func readsManifest(c *cli.Context) bool {
	return c.Command.Name == "bridge" || slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), "manifest") })
}

const manifestVariable = "BOOTSTRAP_MANIFEST"

// The variables of files with the gateway's secrets.
const (
	tokenFileVariable    = "OPENCLAW_GATEWAY_TOKEN_FILE"
	passwordFileVariable = "OPENCLAW_GATEWAY_PASSWORD_FILE"
)

// settle is [pairing.Settle] with what was typed here. Secrets in files are read
// before rights are dropped, and stand in the environment from then on in place of the
// files' names: both together are refused, and hooks and agents run this program, too.
func (a *app) settle(s settings.Settings, argv []string, prepare bool) (*pairing.Target, error) {
	vars := pairing.Variables(a.environ)
	if s.GatewayTokenFile != "" {
		token, err := readToken(s.GatewayTokenFile)
		if err != nil {
			return nil, pairing.Usage(fmt.Errorf("--gateway-token-file (OPENCLAW_GATEWAY_TOKEN_FILE): %w", err), "")
		}
		vars["OPENCLAW_GATEWAY_TOKEN"] = token
		delete(vars, tokenFileVariable)
	}
	if s.GatewayPasswordFile != "" {
		password, err := readToken(s.GatewayPasswordFile)
		if err != nil {
			return nil, pairing.Usage(fmt.Errorf("--gateway-password-file (OPENCLAW_GATEWAY_PASSWORD_FILE): %w", err), "")
		}
		vars["OPENCLAW_GATEWAY_PASSWORD"] = password
		delete(vars, passwordFileVariable)
	}
	return pairing.Settle(pairing.Invocation{Log: a.log, OwnCommand: a.command, Version: Release}, s, argv, vars, prepare)
}

// asking is [app.settle] for a command that asks the gateway at --gateway-url.
func (a *app) asking(s settings.Settings) (*pairing.Target, error) {
	t, err := a.settle(s, nil, false)
	if err == nil {
		err = t.IsChecked()
	}
	return t, err
}

// target is what a command works on that starts nothing and makes nothing.
func (a *app) target(c *cli.Context) (*pairing.Target, error) {
	s, err := a.load(c)
	if err != nil {
		return nil, err
	}
	return a.settle(s, nil, false)
}

// typedFlags says which flags were typed, and where: before a subcommand as well
// as behind it, where the library would pass over the former. Those that mean
// nothing to the subcommand are refused: "seed --dry-run revoke" would revoke.
func typedFlags(c *cli.Context) (map[string]*cli.Context, error) {
	typed := map[string]*cli.Context{}
	for _, at := range c.Lineage() {
		if at.Command == nil { // the outermost, of no command line
			break
		}
		for _, name := range at.LocalFlagNames() {
			if !slices.ContainsFunc(c.Command.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), name) }) {
				return nil, pairing.Usage(fmt.Errorf("%s takes no --%s", commandName(c), name),
					"bootstrap "+commandName(c)+" --help")
			}
			if typed[name] == nil {
				typed[name] = at
			}
		}
	}
	return typed, nil
}

// flagBehind is the error about a flag that follows an argument, where
// the library takes it for one more; nil if there is none.
func flagBehind(c *cli.Context) error {
	for _, argument := range c.Args().Tail() {
		if strings.HasPrefix(argument, "-") {
			return pairing.Usage(fmt.Errorf("%s comes after %q: flags come first", argument, c.Args().First()),
				fmt.Sprintf("bootstrap %s %s %s", commandName(c), quotedWords(c.Args().Tail()), shell.Quote(c.Args().First())))
		}
	}
	return nil
}

// report logs why the program ends.
func (a *app) report(err error) {
	if err == nil || errors.As(err, new(*exitError)) || errors.As(err, new(*entrypoint.Ended)) {
		return
	}
	event := a.log.Error().Int("exit", int(codeOf(err)))
	if hint := hintOf(err); hint != "" {
		event = event.Str("hint", hint)
	}
	if wrong, is := errors.AsType[*settings.Error](err); is && len(wrong.Problems) > 1 {
		event = event.Strs("problems", wrong.Problems)
		event.Msg("several settings are wrong")
		return
	}
	event.Msg(err.Error())
}

// hintOf finds the next thing to do in an error that knows it.
func hintOf(err error) string {
	var command *launch.CommandError
	if hint := pairing.HintOf(err); hint != "" || !errors.As(err, &command) {
		return hint
	}
	return commandHint(command)
}

// commandHint is for a program that cannot be started; often it is none, but what
// was typed behind an image's name in place of the image's own command.
func commandHint(e *launch.CommandError) string {
	isOurs := func(c *cli.Command) bool { return c.Name == e.Path }
	switch {
	case e.Exhausted():
		return "compare the limits with what is used: ulimit -a, and in a container --pids-limit, --ulimit nofile and --memory"
	case errors.Is(e, syscall.ENOEXEC):
		return "a script's first line has to be #!/bin/sh, or another interpreter; a program has to be one for this kind of machine (uname -m)"
	case e.Code != launch.CodeNotFound:
		return "ls -l " + shell.Quote(e.Path) + "   it has to be a program that this user may execute"
	case slices.ContainsFunc((&app{}).commands().Commands, isOurs):
		return "for the command of bootstrap: bootstrap " + shell.Quote(e.Path) + "   of an image: docker run --entrypoint bootstrap IMAGE " + shell.Quote(e.Path)
	case e.Path == "gateway" || strings.HasPrefix(e.Path, "-"):
		return "these words replace the whole command: bootstrap run -- openclaw gateway ...   of an image: docker run IMAGE openclaw gateway ..."
	case strings.Contains(e.Path, " "):
		return "the whole command is quoted as one argument: pass each word separately"
	case strings.Contains(e.Path, "/"):
		return "check the path, and that this image has the gateway in it: ls -l " + shell.Quote(e.Path)
	}
	return "no directory of PATH has it: check how it is spelt, install the gateway (npm install -g openclaw), or give its whole path"
}
