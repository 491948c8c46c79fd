// Package cli owns the commands: what they are called, in which order each
// calls the other rooms, what a person reads, and which exit code an error
// becomes. It holds no knowledge of its own about gateways or stores.
//
// Start with run.go: it is the whole flow.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime/debug"
	"strings"

	"github.com/rs/zerolog"
	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/settings"
)

// app is one invocation: where it reads from and writes to.
type app struct {
	environ []string
	stdout  io.Writer
	stderr  io.Writer
	log     zerolog.Logger
}

// Main runs the program and returns its exit code. argv and environ are as the
// process got them.
func Main(argv, environ []string, stdout, stderr io.Writer) (code int) {
	a := &app{environ: environ, stdout: stdout, stderr: stderr}
	a.log = newLogger(stderr, settings.FormatAuto, environ)
	defer func() {
		// Go's own code for it is 2, which means something else here.
		if fault := recover(); fault != nil {
			a.log.Error().Str("stack", string(debug.Stack())).Msgf("a fault in bootstrap itself, please report it: %v", fault)
			code = int(Unexpected)
		}
	}()
	err := a.commands().RunContext(context.Background(), argv)
	a.report(err)
	return int(codeOf(err))
}

func (a *app) commands() *cli.App {
	commands := []*cli.Command{
		a.runCommand(), a.seedCommand(), a.probeCommand(), a.statusCommand(), a.approveCommand(),
		a.joinCommand(), a.bridgeCommand(), a.identityCommand(), a.versionCommand(),
	}
	fit(commands, lineWidth(a.stdout))
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

// noCommand is what happens without a command, or with one that there is not.
func (a *app) noCommand(c *cli.Context) error {
	if c.NArg() == 0 {
		if c.Command != nil && len(c.Lineage()) > 2 {
			return cli.ShowSubcommandHelp(c)
		}
		return cli.ShowAppHelp(c)
	}
	hint := "bootstrap --help"
	if _, err := launch.Find(c.Args().First(), a.environ); err == nil && len(c.Lineage()) <= 2 {
		hint = "to start it as the gateway: bootstrap run -- " + c.Args().First() + " ...   else: bootstrap --help"
	}
	return &usageError{err: fmt.Errorf("there is no command %q", c.Args().First()), hint: hint}
}

func onUsageError(c *cli.Context, err error, _ bool) error {
	hint := "bootstrap --help"
	if c.Command != nil && c.Command.Name != "" && c.Command.Name != "bootstrap" {
		hint = "bootstrap " + c.Command.Name + " --help"
	}
	if c.Command != nil && c.Command.Name == "run" {
		hint = "the gateway's own flags go behind it: bootstrap run -- openclaw gateway --port 18789   ours: bootstrap run --help"
	}
	return &usageError{err: err, hint: hint}
}

// noArguments guards a command that takes none: what is typed by mistake, an
// address or a name, would otherwise be passed over.
func noArguments(action cli.ActionFunc) cli.ActionFunc {
	return func(c *cli.Context) error {
		if c.NArg() > 0 {
			return &usageError{
				err:  fmt.Errorf("%s takes no argument such as %q", c.Command.FullName(), c.Args().First()),
				hint: "bootstrap " + c.Command.FullName() + " --help",
			}
		}
		return action(c)
	}
}

// load reads the settings of a command and sets the log up as they say.
func (a *app) load(c *cli.Context) (settings.Settings, error) {
	given := map[string]string{}
	for _, field := range settings.Fields() {
		if field.Flag == "" || !c.IsSet(field.Flag) {
			continue
		}
		switch {
		case field.Bool:
			given[field.Env] = fmt.Sprint(c.Bool(field.Flag))
		case field.Repeatable:
			given[field.Env] = strings.Join(c.StringSlice(field.Flag), ",")
		default:
			given[field.Env] = c.String(field.Flag)
		}
	}
	s, err := settings.Load(variables(a.environ), given)
	a.log = newLogger(a.stderr, s.LogFormat, a.environ)
	return s, err
}

// variables is an environment as a map; of a name that is there twice the
// first one counts, as for getenv.
func variables(environ []string) map[string]string {
	out := map[string]string{}
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if _, there := out[name]; !there {
			out[name] = value
		}
	}
	return out
}

func contains(list []string, item string) bool {
	for _, each := range list {
		if each == item {
			return true
		}
	}
	return false
}

// report tells a person, or a program, why it ended.
func (a *app) report(err error) {
	if err == nil || errors.As(err, new(*exitError)) {
		return
	}
	event := a.log.Error().Int("exit", int(codeOf(err)))
	if hint := hintOf(err); hint != "" {
		event = event.Str("hint", hint)
	}
	var wrong *settings.Error
	if errors.As(err, &wrong) && len(wrong.Problems) > 1 {
		event = event.Strs("problems", wrong.Problems)
		event.Msg("several settings are wrong")
		return
	}
	event.Msg(err.Error())
}

// hintOf finds the next thing to do in an error that knows it.
func hintOf(err error) string {
	var hinter interface{ Hint() string }
	if errors.As(err, &hinter) {
		return hinter.Hint()
	}
	var command *launch.CommandError
	switch {
	case !errors.As(err, &command):
		return ""
	case command.Code != launch.CodeNotFound:
		return "ls -l " + command.Path + "   it has to be a program that this user may execute"
	case strings.Contains(command.Path, "/"):
		return "check the path, and that this image has the gateway in it: ls -l " + command.Path
	}
	return "no folder of PATH has it: check how it is spelt, install the gateway (npm install -g openclaw), or give its whole path"
}
