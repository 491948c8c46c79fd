package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"unicode"
	"unicode/utf8"

	"github.com/mattn/go-isatty"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

// logTo makes the log what the settings say.
func (a *app) logTo(format settings.LogFormat) {
	terminal := isTerminal(a.stderr.to)
	a.log = newLogger(a.stderr, terminal, format, a.environ)
	a.stderr.countBy(func(dropped int) []byte {
		var line bytes.Buffer
		log := newLogger(&line, terminal, format, a.environ)
		log.Warn().Int("dropped", dropped).Msg("log lines are missing here: they could not be written")
		return line.Bytes()
	})
}

func isTerminal(to io.Writer) bool {
	file, isFile := to.(*os.File)
	return isFile && isatty.IsTerminal(file.Fd())
}

// newLogger writes for people on a terminal, and JSON lines otherwise.
func newLogger(to io.Writer, terminal bool, format settings.LogFormat, environ []string) zerolog.Logger {
	if format == settings.FormatJSON || (format == settings.FormatAuto && !terminal) {
		return zerolog.New(to).With().Timestamp().Str("component", "bootstrap").Logger()
	}
	variables := pairing.Variables(environ)
	style := consoleStyle{colour: terminal && variables["NO_COLOR"] == "" && variables["TERM"] != "dumb"}
	return zerolog.New(zerolog.ConsoleWriter{
		Out:           to,
		NoColor:       !style.colour,
		PartsOrder:    []string{zerolog.LevelFieldName, zerolog.MessageFieldName},
		FieldsExclude: []string{"exit", "hint", "problems"},
		FormatLevel:   style.level,
		FormatMessage: func(message any) string { return printable(fmt.Sprint(message)) },
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
		fmt.Fprintf(line, "\n  %s", printable(fmt.Sprint(problem)))
	}
	if hint, ok := event["hint"]; ok {
		fmt.Fprintf(line, "\n  %s %s", s.paint("1", "hint:"), printable(fmt.Sprint(hint)))
	}
	return nil
}

// printable shows what a terminal would act on: control characters, line ends too,
// and those that turn the direction of text. What is in a volume is anybody's text.
func printable(text string) string {
	if utf8.ValidString(text) && !strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return text
	}
	var out strings.Builder
	for rest := text; rest != ""; {
		r, size := utf8.DecodeRuneInString(rest)
		shown := rest[:size]
		if r == utf8.RuneError && size == 1 || !unicode.IsPrint(r) {
			quoted := strconv.QuoteToASCII(shown)
			shown = quoted[1 : len(quoted)-1]
		}
		out.WriteString(shown)
		rest = rest[size:]
	}
	return out.String()
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
	if out, ok := to.(*printout); ok {
		to = out.to
	}
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

// printout is stdout. Whoever read it may have gone, as "head -n 1" does; then what
// is left to write has nobody to read it, which is no fault to report.
type printout struct {
	to     io.Writer
	unread bool
}

func (w *printout) Write(text []byte) (int, error) {
	n, err := w.to.Write(text)
	w.unread = w.unread || errors.Is(err, syscall.EPIPE)
	return n, err
}

// printJSON writes one value for programs to stdout.
func (a *app) printJSON(value any) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(value)
}
