package cli

import (
	"slices"
	"strconv"
	"strings"

	"github.com/reflectt/bootstrap/internal/settings"
)

// command is a command of ours to paste: with the flags that were typed here and
// that it takes as well, for without them it would work in another folder, or
// want something else. What a variable says needs no repeating.
func (a *app) command(name string, arguments ...string) string {
	words := append([]string{"bootstrap"}, strings.Fields(name)...)
	main, _, isSub := strings.Cut(name, " ")
	taken := flags(main)
	if isSub {
		taken = ofOne(taken)
	}
	for _, flag := range taken {
		words = append(words, a.typedAs(flag.Names()[0])...)
	}
	for _, argument := range arguments {
		words = append(words, quoted(argument))
	}
	return strings.Join(words, " ")
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
			words = append(words, "--"+name, quoted(value))
		}
		return words
	}
	return []string{"--" + name, quoted(from.String(name))}
}

const plainCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_"

// quoted is one word for a shell.
func quoted(word string) string {
	if word != "" && strings.Trim(word, plainCharacters) == "" {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
