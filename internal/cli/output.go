package cli

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/settings"
)

// newLogger writes for people on a terminal, and JSON lines otherwise.
func newLogger(to io.Writer, format settings.LogFormat, environ []string) zerolog.Logger {
	file, isFile := to.(*os.File)
	terminal := isFile && isatty.IsTerminal(file.Fd())
	if format == settings.FormatJSON || (format == settings.FormatAuto && !terminal) {
		return zerolog.New(to).With().Timestamp().Str("component", "bootstrap").Logger()
	}
	variables := variables(environ)
	style := consoleStyle{colour: terminal && variables["NO_COLOR"] == "" && variables["TERM"] != "dumb"}
	return zerolog.New(zerolog.ConsoleWriter{
		Out:           to,
		NoColor:       !style.colour,
		PartsOrder:    []string{zerolog.LevelFieldName, zerolog.MessageFieldName},
		FieldsExclude: []string{"exit", "hint", "problems"},
		FormatLevel:   style.level,
		FormatMessage: func(message any) string { return fmt.Sprint(message) },
		FormatExtra:   style.afterwards,
	})
}

// consoleStyle is one short line a stage: who speaks, what happened, the
// facts. Problems and the hint get lines of their own.
type consoleStyle struct{ colour bool }

func (s consoleStyle) level(level any) string {
	switch level {
	case zerolog.LevelErrorValue, zerolog.LevelFatalValue:
		return s.paint("31", "error:")
	case zerolog.LevelWarnValue:
		return s.paint("33", "warning:")
	}
	return s.paint("36", "bootstrap:")
}

func (s consoleStyle) afterwards(event map[string]any, line *bytes.Buffer) error {
	problems, _ := event["problems"].([]any)
	for _, problem := range problems {
		fmt.Fprintf(line, "\n  %v", problem)
	}
	if hint, ok := event["hint"]; ok {
		fmt.Fprintf(line, "\n  %s %v", s.paint("1", "hint:"), hint)
	}
	return nil
}

func (s consoleStyle) paint(code, text string) string {
	if !s.colour {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

// usualWidth is how many characters a line of help has where the terminal has
// more, or where there is none; leastWidth where it has hardly any.
const usualWidth, leastWidth = 80, 40

// lineWidth is how long a line of help may be.
func lineWidth(to io.Writer) int {
	file, isFile := to.(*os.File)
	if !isFile {
		return usualWidth
	}
	size, err := unix.IoctlGetWinsize(int(file.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return usualWidth
	}
	return max(leastWidth, min(int(size.Col), usualWidth))
}

// printJSON writes one value for programs to stdout.
func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
