package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/settings"
)

// manPage is docs/bootstrap.1.
func manPage(program *cli.App) string {
	var out strings.Builder
	fmt.Fprintf(&out, ".TH BOOTSTRAP 1\n.SH NAME\nbootstrap \\- %s\n.SH SYNOPSIS\n.B bootstrap\n%s\n.SH COMMANDS\n",
		roff(program.Usage), roff(strings.TrimPrefix(program.UsageText, "bootstrap ")))
	for _, command := range program.Commands {
		manCommand(&out, "bootstrap", command)
	}
	out.WriteString(".SH OPTIONS\nA flag wins over its variable; an empty variable counts as unset.\n")
	for _, field := range settings.Fields() {
		o := option{Usage: field.Usage, Default: field.Default}
		name := "$" + field.Env
		if field.Flag != "" {
			name = "--" + field.Flag
			o.Env = field.Env
		}
		fmt.Fprintf(&out, ".TP\n\\fB%s\\fP \\fI%s\\fP\n%s\n.br\nCommands: %s.\n", roff(name), roff(field.Arg), roff(o.Meaning()), strings.Join(field.Commands, ", "))
	}
	out.WriteString(".SH EXIT STATUS\n")
	for _, meaning := range Codes() {
		fmt.Fprintf(&out, ".TP\n\\fB%s\\fP\n%s\n", roff(codeText(meaning.Code)), roff(meaningText(meaning)))
	}
	return out.String()
}

func manCommand(out *strings.Builder, parent string, command *cli.Command) {
	name := parent + " " + command.Name
	fmt.Fprintf(out, ".SS %s\n%s\n", roff(strings.TrimSpace(name+" "+command.ArgsUsage)), roff(sentence(command.Usage)))
	text, example := splitDescription(command)
	if text != "" {
		fmt.Fprintf(out, ".PP\n%s\n", roff(text))
	}
	if example != "" {
		fmt.Fprintf(out, ".PP\n.nf\n.RS\n%s\n.RE\n.fi\n", roff(example))
	}
	for _, o := range ownFlags(command) {
		fmt.Fprintf(out, ".TP\n\\fB\\-\\-%s\\fP \\fI%s\\fP\n%s\n", roff(o.Names()[0]), roff(o.Arg), roff(o.Meaning()))
	}
	for _, sub := range command.Subcommands {
		manCommand(out, name, sub)
	}
}

// roff quotes what troff would take for a command, and keeps dashes fit to be
// pasted.
func roff(text string) string {
	text = strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`).Replace(text)
	if strings.HasPrefix(text, ".") {
		text = `\&` + text
	}
	return strings.ReplaceAll(text, "\n.", "\n\\&.")
}
