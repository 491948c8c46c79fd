package cli

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/rights"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/statedb"
)

func TestTheReferenceShowsTheExitCodesInTheirOrder(t *testing.T) {
	want := "| code | meaning |\n|---|---|\n"
	for _, meaning := range Codes() {
		want += fmt.Sprintf("| %s | %s |\n", codeText(meaning.Code), meaningText(meaning))
	}
	if reference := readDocument(t, "docs/reference.md"); !strings.Contains(reference, want) {
		t.Errorf("docs/reference.md lacks this table:\n%s", want)
	}
}

func TestEverySettingIsNamedInTheDocuments(t *testing.T) {
	documents := readDocument(t, "docs/reference.md")
	for _, field := range settings.Fields() {
		names := []string{field.Env}
		if field.Flag != "" {
			names = append(names, "--"+field.Flag)
		}
		for _, name := range names {
			if !strings.Contains(documents, "`"+name+"`") && !strings.Contains(documents, "`"+name+" ") {
				t.Errorf("%s is not in docs/reference.md", name)
			}
		}
	}
}

func TestTheDocumentsNameNoSettingThatThereIsNot(t *testing.T) {
	known := map[string]bool{}
	for _, field := range settings.Fields() {
		known[field.Env] = true
	}
	for _, name := range []string{"README.md", "docs/reference.md"} {
		for _, word := range strings.FieldsFunc(readDocument(t, name), func(r rune) bool {
			return r != '_' && (r < 'A' || r > 'Z')
		}) {
			if strings.HasPrefix(word, "BOOTSTRAP_") && !known[word] {
				t.Errorf("%s speaks of %s, which nothing reads", name, word)
			}
		}
	}
}

func TestEverySettingBelongsToCommandsThatThereAre(t *testing.T) {
	commands := map[string]bool{}
	for _, command := range (&app{}).commands().Commands {
		commands[command.Name] = true
	}
	for _, field := range settings.Fields() {
		for _, name := range field.Commands {
			if !commands[name] {
				t.Errorf("%s is for a command %q, which there is not", field.Env, name)
			}
		}
	}
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile("../../" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestEveryCodeIsInTheTableOnce(t *testing.T) {
	seen := map[Code]bool{}
	last := Code(-1)
	for _, meaning := range Codes() {
		if seen[meaning.Code] || meaning.Code < last || meaning.Meaning == "" {
			t.Errorf("%d stands twice, out of order or without a meaning", meaning.Code)
		}
		seen[meaning.Code], last = true, meaning.Code
	}
	for _, outcome := range probe.Outcomes() {
		if !seen[verdictCode(outcome)] {
			t.Errorf("%s gives %d, which is not in the table", outcome, verdictCode(outcome))
		}
	}
}

func TestEveryOutcomeOfAProbeHasACodeOfItsOwn(t *testing.T) {
	by := map[Code]probe.Outcome{}
	for _, outcome := range probe.Outcomes() {
		code := verdictCode(outcome)
		if other, taken := by[code]; taken || code == Unexpected {
			t.Errorf("%s gives %d, as %q does", outcome, code, other)
		}
		by[code] = outcome
	}
	if got := verdictCode("something new"); got != Unexpected {
		t.Errorf("an outcome that nobody knows gives %d", got)
	}
}

func TestEveryErrorGivesItsCodeHoweverItIsWrapped(t *testing.T) {
	for name, c := range map[string]struct {
		err  error
		want Code
	}{
		"none":                                   {nil, OK},
		"one that nobody typed":                  {errors.New("?"), Unexpected},
		"a setting":                              {&settings.Error{Problems: []string{"x"}}, Usage},
		"a command line":                         {pairing.Usage(errors.New("x"), ""), Usage},
		"a user that there is not":               {&rights.UserError{Spec: "x"}, Usage},
		"an identity":                            {&identity.Error{Fault: "x"}, IdentityUnusable},
		"an identity behind a store":             {&seed.StoreError{Err: &identity.Error{Fault: "x"}}, IdentityUnusable},
		"a store":                                {&seed.StoreError{Err: errors.New("x")}, StoreUnusable},
		"a database":                             {&statedb.Error{Err: errors.New("x")}, StoreUnusable},
		"a state directory":                      {&rights.StateDirError{}, StoreUnusable},
		"rights that cannot be dropped":          {&rights.PrivilegeError{Err: errors.New("x")}, StoreUnusable},
		"a lock":                                 {&atomicfile.LockedError{}, Locked},
		"a gateway that runs":                    {&pairing.RunningError{}, GatewayRunning},
		"a command that cannot be run":           {&launch.CommandError{Code: launch.CodeCannotRun, Err: errors.New("x")}, CannotRun},
		"a command that is not there":            {&launch.CommandError{Code: launch.CodeNotFound, Err: errors.New("x")}, NotFound},
		"a signal before the start":              {&launch.StoppedError{Signal: unix.SIGTERM}, 128 + 15},
		"a gateway's own code":                   {&exitError{code: 78}, 78},
		"a store, and a lock that stayed behind": {errors.Join(&seed.StoreError{Err: errors.New("x")}, errors.New("y")), StoreUnusable},
	} {
		t.Run(name, func(t *testing.T) {
			if got := codeOf(c.err); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
			if c.err == nil {
				return
			}
			if got := codeOf(fmt.Errorf("while something was done: %w", c.err)); got != c.want {
				t.Errorf("wrapped: got %d, want %d", got, c.want)
			}
		})
	}
}
