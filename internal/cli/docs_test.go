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
	a := &app{stdout: io.Discard}
	mustEqual(t, "../../docs/reference.md", reference(a.commands()))
}

func TestTheManPageIsWhatTheProgramSays(t *testing.T) {
	a := &app{stdout: io.Discard}
	mustEqual(t, "../../docs/bootstrap.1", manPage(a.commands()))
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
	out.WriteString("\n## Settings\n\nA flag wins over its variable. An empty variable counts as unset; one that is nearly one of ours is refused, as misspelt. Wrong values are all reported at once.\n\n")
	out.WriteString("| flag | variable | default | commands | meaning |\n|---|---|---|---|---|\n")
	for _, field := range settings.Fields() {
		name := ""
		if field.Flag != "" {
			name = "`" + strings.TrimSpace("--"+field.Flag+" "+field.Arg) + "`"
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
	fmt.Fprintf(out, "\n### `%s`\n\n%s\n", strings.TrimSpace(name+" "+command.ArgsUsage), sentence(command.Usage))
	text, example := splitDescription(command)
	if text != "" {
		fmt.Fprintf(out, "\n%s\n", text)
	}
	if example != "" {
		fmt.Fprintf(out, "\n```sh\n%s\n```\n", example)
	}
	if own := ownFlags(command); len(own) > 0 {
		out.WriteString("\n| flag | meaning |\n|---|---|\n")
		for _, o := range own {
			fmt.Fprintf(out, "| `%s` | %s |\n", o.Name(), o.Meaning())
		}
	}
	for _, sub := range command.Subcommands {
		describe(out, name, sub)
	}
}

// splitDescription parts the words from the examples, which are indented.
func splitDescription(command *cli.Command) (text, example string) {
	var words, lines []string
	for _, line := range strings.Split(command.Description, "\n") {
		if pasted, ok := strings.CutPrefix(line, "  "); ok {
			lines = append(lines, pasted)
		} else {
			words = append(words, line)
		}
	}
	return strings.TrimSpace(strings.Join(words, "\n")), strings.Join(lines, "\n")
}

// ownFlags are the flags of a command that are no settings.
func ownFlags(command *cli.Command) (own []*option) {
	for _, flag := range command.Flags {
		if o, ok := flag.(*option); ok && o.Env == "" {
			own = append(own, o)
		}
	}
	return own
}

func sentence(text string) string {
	text = strings.ToUpper(text[:1]) + text[1:]
	if strings.HasSuffix(text, "?") {
		return text
	}
	return text + "."
}

func codeText(code Code) string {
	if code == Signalled {
		return "128+n"
	}
	return fmt.Sprint(int(code))
}

func meaningText(meaning Meaning) string { return strings.TrimPrefix(meaning.Meaning, "128+n: ") }
