package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

func TestALogIsColouredOnATerminalAlone(t *testing.T) {
	for name, c := range map[string]struct {
		format   settings.LogFormat
		environ  []string
		coloured bool
		json     bool
	}{
		"by itself":                           {settings.FormatAuto, nil, true, false},
		"asked for lines for people":          {settings.FormatConsole, nil, true, false},
		"asked for JSON":                      {settings.FormatJSON, nil, false, true},
		"with NO_COLOR":                       {settings.FormatAuto, []string{"NO_COLOR=1"}, false, false},
		"with an empty NO_COLOR, which is no": {settings.FormatAuto, []string{"NO_COLOR="}, true, false},
		"on a dumb terminal":                  {settings.FormatAuto, []string{"TERM=dumb"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			keyboard, terminal := openTerminal(t)
			logger := newLogger(terminal, isTerminal(terminal), c.format, c.environ)
			logger.Error().Str("hint", "bootstrap --help").Msg("wrong")
			buffer := make([]byte, 4096)
			n, err := keyboard.Read(buffer)
			if err != nil {
				t.Fatal(err)
			}
			text := string(buffer[:n])
			if strings.Contains(text, "\x1b[") != c.coloured || strings.HasPrefix(text, "{") != c.json {
				t.Errorf("got %q", text)
			}
		})
	}
}

// openTerminal is a pseudo-terminal: what is written to the one end is read
// from the other.
func openTerminal(t *testing.T) (keyboard, terminal *os.File) {
	t.Helper()
	keyboard, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no pseudo-terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = keyboard.Close() })
	if err := unix.IoctlSetPointerInt(int(keyboard.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(int(keyboard.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	terminal, err = os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there is no pseudo-terminal to be had: %v", err)
	}
	t.Cleanup(func() { _ = terminal.Close() })
	return keyboard, terminal
}

func TestAnErrorIsToldOnceWithCodeAndHint(t *testing.T) {
	var stderr bytes.Buffer
	a := &app{log: newLogger(&stderr, false, settings.FormatAuto, nil)}
	a.report(pairing.Usage(errors.New("wrong"), "bootstrap --help"))
	var line struct {
		Level, Message, Hint string
		Exit                 int
	}
	if err := json.Unmarshal(stderr.Bytes(), &line); err != nil {
		t.Fatalf("not one line of JSON: %v: %s", err, stderr.String())
	}
	if line.Level != "error" || line.Message != "wrong" || line.Hint != "bootstrap --help" || line.Exit != 2 {
		t.Errorf("got %+v", line)
	}
}

func TestACodeOfTheGatewaysOwnIsNoErrorToTell(t *testing.T) {
	var stderr bytes.Buffer
	a := &app{log: newLogger(&stderr, false, settings.FormatAuto, nil)}
	a.report(nil)
	a.report(&exitError{code: 78})
	if stderr.Len() > 0 {
		t.Errorf("got %s", stderr.String())
	}
}

// The goroutine-leak check at the end of the tests covers this process alone.
func TestNothingStaysBehindInTheProcess(t *testing.T) {
	environ := []string{"OPENCLAW_STATE_DIR=" + t.TempDir(), "OPENCLAW_GATEWAY_URL=ws://127.0.0.1:1"}
	for _, c := range []struct {
		argv []string
		want Code
	}{
		{[]string{"seed", "--client", "agent-1"}, OK},
		{[]string{"identity", "show", "--json"}, OK},
		{[]string{"probe", "--wait", "50ms"}, Unreachable},
		{[]string{"nonsense"}, Usage},
	} {
		var stdout, stderr bytes.Buffer
		if got := Main(append([]string{"bootstrap"}, c.argv...), environ, &stdout, &stderr); got != int(c.want) {
			t.Errorf("%v: exit code %d, want %d:\n%s", c.argv, got, c.want, stderr.String())
		}
	}
}
