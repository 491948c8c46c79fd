package cli

import (
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/settings"
)

var update = flag.Bool("update", false, "write docs/reference.md and docs/bootstrap.1 anew")

func TestTheReferenceIsWhatTheProgramSays(t *testing.T) {
	a := &app{stdout: io.Discard, stderr: io.Discard}
	mustEqual(t, "../../docs/reference.md", reference(a.commands()))
}

func TestTheManPageIsWhatTheProgramSays(t *testing.T) {
	a := &app{stdout: io.Discard, stderr: io.Discard}
	page, err := a.commands().ToManWithSection(1)
	if err != nil {
		t.Fatal(err)
	}
	page += ".SH EXIT STATUS\n"
	for _, meaning := range Codes() {
		page += ".TP\n\\fB" + codeText(meaning.Code) + "\\fP\n" + meaningText(meaning) + "\n"
	}
	mustEqual(t, "../../docs/bootstrap.1", page)
}

// mustEqual compares a file with what it should be; with -update it writes it.
func mustEqual(t *testing.T, path, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(path)
	if err != nil || string(got) != want {
		t.Errorf("%s has drifted from the program (%v): run \"make docs\"", path, err)
	}
}

// reference is docs/reference.md.
func reference(program *cli.App) string {
	var out strings.Builder
	out.WriteString("# Reference\n\nMade from the program by `make docs`; a test compares them.\n\n## Commands\n")
	for _, command := range program.Commands {
		describe(&out, "bootstrap", command)
	}
	out.WriteString("\n## Settings\n\nA flag wins over its variable. An empty variable counts as unset. Wrong values are all reported at once.\n\n")
	out.WriteString("| flag | variable | default | commands | meaning |\n|---|---|---|---|---|\n")
	for _, field := range settings.Fields() {
		name := ""
		if field.Flag != "" {
			name = "`--" + strings.TrimSpace(field.Flag+" "+field.Arg) + "`"
		}
		value := ""
		if field.Default != "" {
			value = "`" + field.Default + "`"
		}
		fmt.Fprintf(&out, "| %s | `%s` | %s | %s | %s |\n", strings.ReplaceAll(name, "|", `\|`), field.Env, value, strings.Join(field.Commands, ", "), field.Usage)
	}
	out.WriteString("\n`OPENCLAW_GATEWAY_TOKEN` and every other variable of the gateway are read as the gateway reads them.\n")
	out.WriteString("\n## Exit codes\n\n| code | meaning |\n|---|---|\n")
	for _, meaning := range Codes() {
		fmt.Fprintf(&out, "| %s | %s |\n", codeText(meaning.Code), meaningText(meaning))
	}
	return out.String()
}

func describe(out *strings.Builder, parent string, command *cli.Command) {
	name := parent + " " + command.Name
	usage := upperFirst(command.Usage)
	if !strings.HasSuffix(usage, "?") {
		usage += "."
	}
	fmt.Fprintf(out, "\n### `%s`\n\n%s\n", strings.TrimSpace(name+" "+command.ArgsUsage), usage)
	if command.Description != "" {
		fmt.Fprintf(out, "\n%s\n", command.Description)
	}
	for _, sub := range command.Subcommands {
		describe(out, name, sub)
	}
}

func upperFirst(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

func codeText(code Code) string {
	if code == Signalled {
		return "128+n"
	}
	return fmt.Sprint(int(code))
}

func meaningText(meaning Meaning) string { return strings.TrimPrefix(meaning.Meaning, "128+n: ") }
