package shell_test

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/shell"
)

var words = []string{
	"plain", "", "two words", "it's", "'", "''", "$HOME", "$(id)", "`id`", "a\\b", "\\", "*", "~root", "a:~root", "~",
	"#no", "a;b", "a&b", "line\nbreak", "end\n", "\n", "\t", "viewer:read", "NAME=a+b/c==", `"`, `say "x"`, "\x1b[31m", "\x7f", "é", "\xff",
	`/data/my "dear" user's state`, "!x", "{a,b}", "[a]", "(", ">", "<", "|", "-n", "%s",
}

// sourced is what a shell makes of a variable in a file that it reads.
func sourced(t testing.TB, quoted string) string {
	t.Helper()
	cmd := exec.Command("sh", "-c", "VALUE="+quoted+"\nprintf %s \"$VALUE\"; printf . ; set -- "+quoted+"\nprintf %s%s \"$#\" \"$1\"")
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v", quoted, err)
	}
	return string(out)
}

func TestAQuotedWordIsItselfToAShell(t *testing.T) {
	for _, word := range words {
		quoted := shell.Quote(word)
		if got := sourced(t, quoted); got != word+".1"+word {
			t.Errorf("%q became %q", word, got)
		}
		if got, ok := shell.Unquote(quoted); !ok || got != word {
			t.Errorf("%s is read as %q, %v", quoted, got, ok)
		}
	}
}

func TestAWordOfPlainCharactersIsNotQuoted(t *testing.T) {
	for _, word := range []string{"viewer:read", "ws://127.0.0.1:18789/agent", "/data/a_b-c.d", "NAME=a+b/c==", "a@b", "50%"} {
		if got := shell.Quote(word); got != word {
			t.Errorf("quoted without need: %s", got)
		}
	}
}

func TestAnAssignedValueIsItselfToAShell(t *testing.T) {
	for _, word := range append(words, "ws://[::1]:18789/a?b=*", "[a-z]", "?", "[]") {
		line := shell.Assign("NAME", word)
		if got := sourced(t, strings.TrimPrefix(line, "NAME=")); !strings.HasPrefix(got, word+".") {
			t.Errorf("%q became %q", word, got)
		}
		if got, ok := shell.Unquote(strings.TrimPrefix(line, "NAME=")); !ok || got != word {
			t.Errorf("%s is read as %q, %v", line, got, ok)
		}
	}
	for _, word := range []string{"", "ws://[::1]:18789", "ws://h/a?b=c"} {
		if got := shell.Assign("NAME", word); got != "NAME="+word {
			t.Errorf("quoted without need: %s", got)
		}
	}
}

// What a person has written is read as a shell would, or not at all.
func TestAWordIsReadAsAShellReadsIt(t *testing.T) {
	for word, want := range map[string]string{
		`linux`: "linux", `'a b'`: "a b", `"a b"`: "a b", `a\ b`: "a b", `'it'\''s'`: "it's", `a"b"'c'`: "abc", ``: "",
	} {
		if got, ok := shell.Unquote(word); !ok || got != want {
			t.Errorf("%s is read as %q, %v", word, got, ok)
		}
	}
	for _, word := range []string{"a b", "'open", `"open`, `end\`, "$HOME", `"$HOME"`, "`id`", "a;b", "~", "#x", "a\nb", `"a\b"`, "*", "a~"} {
		if got, ok := shell.Unquote(word); ok {
			t.Errorf("%q is read as %q", word, got)
		}
	}
}

func FuzzQuote(f *testing.F) {
	for _, word := range words {
		f.Add(word)
	}
	f.Fuzz(func(t *testing.T, word string) {
		if strings.ContainsRune(word, 0) {
			return // no argument and no variable can hold one
		}
		quoted := shell.Quote(word)
		if got := sourced(t, quoted); !bytes.Equal([]byte(got), []byte(word+".1"+word)) {
			t.Errorf("%q became %q", word, got)
		}
		if got, ok := shell.Unquote(quoted); !ok || got != word {
			t.Errorf("%s is read as %q, %v", quoted, got, ok)
		}
	})
}
