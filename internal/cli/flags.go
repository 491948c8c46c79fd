package cli

import (
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/reflectt/bootstrap/internal/settings"
)

// option is a flag that shows itself to people in two parts: what to type, and
// below it what that does.
type option struct {
	cli.DocGenerationFlag
	names []string
	// Arg names the value; empty where there is none.
	Arg string
	// Usage is the sentence, Default and Env are empty where there is none.
	Usage, Default, Env string
	// width is how many characters a line of the sentence may have.
	width int
}

// Names are read once: the library looks for blanks in them with a regular
// expression, whenever it is asked, and asks each flag of each command.
func (o *option) Names() []string {
	if o.names == nil {
		o.names = o.DocGenerationFlag.Names()
	}
	return o.names
}

// IsVisible says that it is in the help; without it, it would not be.
func (o *option) IsVisible() bool { return true }

// GetUsage is the sentence alone: completions of some shells show it.
func (o *option) GetUsage() string { return o.Usage }

// Name is what to type.
func (o *option) Name() string {
	return strings.TrimSpace("--" + o.Names()[0] + " " + o.Arg)
}

// Meaning is the sentence with default and variable.
func (o *option) Meaning() string {
	text := o.Usage
	if o.Default != "" {
		text += " (default: " + o.Default + ")"
	}
	if o.Env != "" {
		text += " [$" + o.Env + "]"
	}
	return text
}

func (o *option) String() string {
	return o.Name() + "\n" + indent(optionIndent, wrapText(o.Meaning(), o.width))
}

// helpIndent is what the library puts before each line of help, optionIndent
// what is between that and a flag's sentence. The library indents the second
// and later lines of a flag by three more.
const helpIndent, optionIndent = 3, 2

// flags are the flags of one command, made from the settings' own list.
func flags(command string, more ...cli.Flag) []cli.Flag {
	var out []cli.Flag
	for _, field := range settings.Fields() {
		if field.Flag == "" || !slices.Contains(field.Commands, command) {
			continue
		}
		o := &option{names: []string{field.Flag}, Arg: field.Arg, Usage: field.Usage, Default: field.Default, Env: field.Env}
		switch {
		case field.Bool:
			o.DocGenerationFlag, o.Default = &cli.BoolFlag{Name: field.Flag}, ""
		case field.Repeatable:
			o.DocGenerationFlag = &cli.StringSliceFlag{Name: field.Flag}
		default:
			o.DocGenerationFlag = &cli.StringFlag{Name: field.Flag}
		}
		out = append(out, o)
	}
	for _, flag := range more {
		out = append(out, newOption(flag))
	}
	return out
}

// newOption takes the value's name from the back quotes of the usage, as the
// library does.
func newOption(flag cli.Flag) cli.Flag {
	documented, ok := flag.(cli.DocGenerationFlag)
	if !ok {
		return flag
	}
	o := &option{DocGenerationFlag: documented, Usage: documented.GetUsage()}
	if before, after, found := strings.Cut(o.Usage, "`"); found {
		if arg, rest, closed := strings.Cut(after, "`"); closed {
			// "`TIME`: how long" is a heading, "`TIME` that it takes" a sentence.
			o.Arg, o.Usage = arg, before+arg+rest
			if text, heading := strings.CutPrefix(rest, ": "); heading && before == "" {
				o.Usage = text
			}
		}
	}
	value := strings.Trim(documented.GetDefaultText(), `"`)
	if documented.TakesValue() && value != "" && value != "0s" && !strings.Contains(o.Usage, "(default") {
		o.Default = value
	}
	return o
}

// singleDeviceFlags are the flags that mean something where one device is named: how to find
// the store, and more.
func singleDeviceFlags(all []cli.Flag, more ...string) []cli.Flag {
	wanted := append(more, "state-dir", "gateway-package", "user", "gateway-url", "lock-timeout", "log-format")
	return slices.DeleteFunc(all, func(f cli.Flag) bool { return !slices.Contains(wanted, f.Names()[0]) })
}

// complete gives all commands what each has: its answer to wrong flags, and lines of
// help that fit into a width.
func complete(commands []*cli.Command, width int) {
	for _, command := range commands {
		command.OnUsageError = onUsageError
		command.Description = wrapText(command.Description, width-helpIndent)
		for _, flag := range command.Flags {
			if o, ok := flag.(*option); ok {
				o.width = width - 2*helpIndent - optionIndent
			}
		}
		complete(command.Subcommands, width)
	}
}

// wrapText breaks lines at spaces. Lines that are indented, as examples are, stay
// as they are: they are pasted. A width of 0 breaks nothing.
func wrapText(text string, width int) string {
	var out []string
	for _, line := range strings.Split(text, "\n") {
		for width > 0 && len(line) > width && !strings.HasPrefix(line, " ") {
			at := strings.LastIndex(line[:width+1], " ")
			if at < 0 {
				if at = strings.Index(line, " "); at < 0 {
					break
				}
			}
			out = append(out, line[:at])
			line = line[at+1:]
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n")
}

func indent(by int, text string) string {
	padding := strings.Repeat(" ", by)
	return padding + strings.ReplaceAll(text, "\n", "\n"+padding)
}
