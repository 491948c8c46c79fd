package cli

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"github.com/urfave/cli/v2"
)

func TestHelpFitsTheUsualTerminalAndEveryCommandHasAnExample(t *testing.T) {
	for _, words := range everyCommand("", (&app{}).commands().Commands) {
		t.Run(words, func(t *testing.T) {
			var help bytes.Buffer
			argv := append([]string{"bootstrap"}, append(strings.Fields(words), "--help")...)
			if code := Main(argv, nil, &help, &help); code != 0 {
				t.Fatalf("exit %d: %s", code, &help)
			}
			description, options, _ := strings.Cut(help.String(), "\nOPTIONS:\n")
			if words != "identity" && !strings.Contains(description, "\n     ") {
				t.Error("there is no example")
			}
			for line := range strings.Lines(options) {
				if len(line) > usualWidth+1 {
					t.Errorf("longer than %d: %s", usualWidth, line)
				}
			}
		})
	}
}

func everyCommand(before string, commands []*cli.Command) (all []string) {
	for _, command := range commands {
		words := strings.TrimSpace(before + " " + command.Name)
		all = append(append(all, words), everyCommand(words, command.Subcommands)...)
	}
	return all
}

func TestAFlagSaysWhatToTypeAndBelowItWhatThatDoes(t *testing.T) {
	for name, c := range map[string]struct {
		flag *option
		want string
	}{
		"a value that the sentence does not name":  {newOption(&cli.StringFlag{Name: "a", Usage: "`WITH`: this or that", Value: "this"}).(*option), "--a WITH\n  this or that (default: this)"},
		"a value that the sentence begins with":    {newOption(&cli.DurationFlag{Name: "a", Usage: "`TIME` that it takes"}).(*option), "--a TIME\n  TIME that it takes"},
		"none":                                     {newOption(&cli.BoolFlag{Name: "a", Usage: "do it"}).(*option), "--a\n  do it"},
		"a setting, with its variable and default": {&option{DocGenerationFlag: &cli.StringFlag{Name: "a"}, Arg: "X", Usage: "it", Default: "y", Env: "A"}, "--a X\n  it (default: y) [$A]"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(c.flag); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestLinesAreBrokenAtSpacesAndExamplesAreNot(t *testing.T) {
	for _, c := range []struct {
		text  string
		width int
		want  string
	}{
		{"one two three", 7, "one two\nthree"},
		{"one two three", 0, "one two three"},
		{"a-word-that-is-too-long for it", 8, "a-word-that-is-too-long\nfor it"},
		{"  pasted as it stands here", 8, "  pasted as it stands here"},
		{"", 8, ""},
	} {
		if got := wrapText(c.text, c.width); got != c.want {
			t.Errorf("%q in %d: got %q", c.text, c.width, got)
		}
	}
}

// The library asks each flag of each command for its names, several times a start,
// and answers for its own ones with a regular expression.
func TestTheNamesOfAFlagAreMadeOnce(t *testing.T) {
	for _, flag := range flags("run", jsonFlag()) {
		flag.Names()
		if allocations := testing.AllocsPerRun(10, func() { flag.Names() }); allocations != 0 {
			t.Errorf("%q: %.0f allocations each time", flag.Names(), allocations)
		}
	}
}
