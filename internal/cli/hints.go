package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/shell"
)

// command is a command of ours to paste: with the flags that were typed here and
// that it takes as well, for without them it would work in another directory, or
// want something else. What a variable says needs no repeating.
func (a *app) command(name string, arguments ...string) string {
	built, known := a.hints.Load(name)
	if !known {
		built, _ = a.hints.LoadOrStore(name, a.typedCommand(name))
	}
	typed, _ := built.(string)
	if len(arguments) == 0 {
		return typed
	}
	return typed + " " + quotedWords(arguments)
}

// typedCommand is a command with what was typed here: the same for each of the
// thousands of devices that status may have a hint for.
func (a *app) typedCommand(name string) string {
	words := append([]string{"bootstrap"}, strings.Fields(name)...)
	main, _, isSub := strings.Cut(name, " ")
	taken := flags(main)
	if isSub {
		taken = singleDeviceFlags(taken)
	}
	for _, flag := range taken {
		words = append(words, a.typedAs(flag.Names()[0])...)
	}
	return strings.Join(words, " ")
}

// quotedWords are arguments for a shell.
func quotedWords(words []string) string {
	quoted := make([]string, len(words))
	for i, word := range words {
		quoted[i] = shell.Quote(word)
	}
	return strings.Join(quoted, " ")
}

// typedAs is a flag of the settings as it was typed; nothing where it was not, or
// where it changes nothing but how this command runs.
func (a *app) typedAs(name string) (words []string) {
	from := a.typed[name]
	at := slices.IndexFunc(settings.Fields(), func(f settings.Field) bool { return f.Flag == name })
	if from == nil || at < 0 || name == "log-format" || name == "lock-timeout" {
		return nil
	}
	switch field := settings.Fields()[at]; {
	case field.Bool:
		return []string{"--" + name + "=" + strconv.FormatBool(from.Bool(name))}
	case field.Repeatable:
		for _, value := range from.StringSlice(name) {
			words = append(words, "--"+name, shell.Quote(value))
		}
		return words
	}
	value := from.String(name)
	if strings.HasSuffix(name, "-url") {
		value = protocol.DisplayURL(value) // the query may hold a token
	}
	return []string{"--" + name, shell.Quote(value)}
}
