package gatewaytest_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// scopeReleases are those of CI; a newer one is added here first.
var scopeReleases = []string{"2026.2.26", "2026.5.28", "2026.8.2", "2026.9.5", "2026.9.6"}

// Every scope that a release's code names is one that bootstrap knows for it,
// and whatever its CLI or Control UI asks for is in "full".
func TestEveryScopeOfAReleaseIsKnown(t *testing.T) {
	t.Parallel()
	const where = "scopeSteps in internal/gateway/scopes.go"
	for _, version := range scopeReleases {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Dir(gatewaytest.Install(t, version)[1])
			release, err := gateway.ReadRelease(dir)
			if err != nil {
				t.Fatal(err)
			}
			found := readScopes(t, filepath.Join(dir, "dist"))
			known, full := release.KnownScopes(), release.AskedScopes()
			for _, scope := range found.named {
				if !slices.Contains(known, scope) {
					t.Errorf("openclaw %s has the scope %s: add it to %s, under asked where its CLI_DEFAULT_OPERATOR_SCOPES or its Control UI lists it, else under known", version, scope, where)
				}
			}
			for _, scope := range known {
				if !slices.Contains(found.named, scope) {
					t.Errorf("openclaw %s has no scope %s: %s has it for a release too early", version, scope, where)
				}
			}
			if len(found.cli) < 5 || len(found.controlUI) < 3 {
				t.Fatalf("cannot find what the CLI (%v) and the Control UI (%v) ask for: their code has changed, look for it and teach readScopes", found.cli, found.controlUI)
			}
			for _, scope := range append(found.cli, found.controlUI...) {
				if !slices.Contains(full, scope) {
					t.Errorf("openclaw %s asks for %s, and the preset full has not got it: move it to asked in %s", version, scope, where)
				}
			}
		})
	}
}

// packageScopes is what a package's code says of operator scopes.
type packageScopes struct {
	named     []string // every string that is one
	cli       []string // CLI_DEFAULT_OPERATOR_SCOPES
	controlUI []string // the lists in the Control UI
}

var (
	scopeConstant = regexp.MustCompile(`\b([A-Z_]+_SCOPE) = "(operator\.[a-z.]+)"`)
	cliScopes     = regexp.MustCompile(`CLI_DEFAULT_OPERATOR_SCOPES = \[([A-Z_,\s]+)\]`)
	scopeList     = regexp.MustCompile("\\[((?:[\"'`]operator\\.[a-z.]+[\"'`],?\\s*){3,})\\]")
)

func readScopes(t *testing.T, dist string) packageScopes {
	t.Helper()
	var out packageScopes
	constants, names := map[string]string{}, []string(nil)
	err := filepath.WalkDir(dist, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !slices.Contains([]string{".js", ".mjs", ".cjs"}, filepath.Ext(path)) {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(data, []byte("operator.")) && !bytes.Contains(data, []byte("_OPERATOR_SCOPES")) {
			return err
		}
		out.named = append(out.named, quotedScopes(data)...)
		if bytes.Contains(data, []byte(`_SCOPE = "operator.`)) { // most files have none, and the pattern is slow
			for _, match := range scopeConstant.FindAllSubmatch(data, -1) {
				constants[string(match[1])] = string(match[2])
			}
		}
		if match := cliScopes.FindSubmatch(data); match != nil {
			names = strings.FieldsFunc(string(match[1]), func(r rune) bool { return r != '_' && (r < 'A' || r > 'Z') })
		}
		if strings.Contains(path, "/control-ui/") {
			for _, match := range scopeList.FindAllSubmatch(data, -1) {
				out.controlUI = append(out.controlUI, quotedScopes(match[1])...)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		out.cli = append(out.cli, constants[name])
	}
	for _, list := range []*[]string{&out.named, &out.cli, &out.controlUI} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return out
}

// quotedScopes are the strings that are an operator scope and nothing else.
func quotedScopes(code []byte) (out []string) {
	const prefix = "operator."
	for rest := code; ; {
		at := bytes.Index(rest, []byte(prefix))
		if at < 0 {
			return out
		}
		end := at + len(prefix)
		for end < len(rest) && (rest[end] == '.' || 'a' <= rest[end] && rest[end] <= 'z') {
			end++
		}
		if at > 0 && end < len(rest) && end > at+len(prefix) && strings.IndexByte("\"'`", rest[at-1]) >= 0 && rest[end] == rest[at-1] {
			out = append(out, string(rest[at:end]))
		}
		rest = rest[end:]
	}
}
