package cli

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/reflectt/bootstrap/internal/settings"
)

// What is in a volume is somebody else's text: it must not move the cursor, forge a
// line, or become part of a command that is pasted.
func TestStatusPrintsNoControlCharacterOfAVolume(t *testing.T) {
	const evil = "\x1b[2J\x1b]0;owned\x07\u202e\r\nnothing to mend"
	home := t.TempDir()
	state := filepath.Join(home, "state")
	files := map[string]string{
		"devices/paired.json": `{"x; touch PWNED #": {"deviceId": "x; touch PWNED #", "displayName": ` + quotedJSON(evil) + `, "roles": [` + quotedJSON(evil) + `],
			"scopes": [` + quotedJSON("operator."+evil) + `], "tokens": {"operator": {"token": "t", "scopes": []}}}}`,
		"bootstrap/ledger.json": `{"version": 1, "devices": {"x; touch PWNED #": {"name": "self", "publicKey": "", "scopes": []}}}`,
		"openclaw.json":         `{"$include": ` + quotedJSON("./"+evil) + `}`,
	}
	for name, content := range files {
		path := filepath.Join(state, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, command := range []string{"status", "seed --dry-run", "probe"} {
		var stdout, stderr bytes.Buffer
		Main(append([]string{"bootstrap"}, strings.Fields(command)...), []string{"HOME=" + home, "OPENCLAW_STATE_DIR=" + state, "PATH=/usr/bin:/bin", "BOOTSTRAP_LOG_FORMAT=console"}, &stdout, &stderr)
		for line := range strings.Lines(stdout.String() + stderr.String()) {
			if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%s: %q", command, line)
			}
			if strings.HasPrefix(line, "nothing to mend") {
				t.Errorf("%s: a line is forged", command)
			}
			if i := strings.Index(line, "devices remove x;"); i >= 0 {
				t.Errorf("%s: this is to be pasted: %s", command, line)
			}
		}
		if command == "status" && !strings.Contains(stdout.String(), `\x1b[2J`) {
			t.Errorf("what is there is not shown:\n%s", stdout.String())
		}
	}
}

// So is what answers at the gateway's port.
func TestProbePrintsNoControlCharacterOfAPeer(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte("HTTP/1.1 500 \x1b]0;pwned\x07\x1b[2Jforged\r\nContent-Length: 0\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	var stdout, stderr bytes.Buffer
	Main([]string{"bootstrap", "probe", "--auth", "none", "--gateway-url", "ws://" + listener.Addr().String()}, []string{"HOME=" + t.TempDir(), "PATH=/usr/bin:/bin"}, &stdout, &stderr)
	if text := stdout.String(); !strings.Contains(text, "HTTP 500") || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' && r != '\n' }) {
		t.Errorf("%q", text)
	}
}

func TestWhatIsLoggedForPeopleHasNoControlCharacters(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, false, settings.FormatConsole, nil)
	log.Warn().Str("hint", "a\x1b[31m\nb").Strs("problems", []string{"c\x07"}).Str("field", "d\x1b").Msg("e\x1b[2Jf\ng")
	for line := range strings.Lines(out.String()) {
		if strings.ContainsFunc(strings.TrimSuffix(line, "\n"), unicode.IsControl) {
			t.Errorf("%q", line)
		}
	}
	if strings.Count(out.String(), "\n") != 3 {
		t.Errorf("lines are forged:\n%s", out.String())
	}
}

func quotedJSON(text string) string {
	return `"` + strings.NewReplacer("\x1b", `\u001b`, "\x07", `\u0007`, "\r", `\r`, "\n", `\n`).Replace(text) + `"`
}
