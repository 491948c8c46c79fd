package seed_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

func TestTheFaultIsNamedWhereAnEditorShowsIt(t *testing.T) {
	for name, content := range map[string]string{
		"a string that the line's end cuts": "{\n  \"aa\": 1,\n  \"bb\": \"torn\n",
		"a word at the begin of a line":     "{\noops\n}",
		"a brace too many":                  "{}\n}",
		"nothing after the colon":           "{\n\"aa\":\n}",
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := pairedFile(t, content)
			_, err := pairSelf(t, options(dir), "operator.read")
			if err == nil {
				t.Fatal("it was accepted")
			}
			place := regexp.MustCompile(`line (\d+), column (\d+)`).FindStringSubmatch(err.Error())
			if place == nil {
				t.Fatalf("no place in: %v", err)
			}
			var line, column int
			if _, scanErr := fmt.Sscan(place[1]+" "+place[2], &line, &column); scanErr != nil {
				t.Fatal(scanErr)
			}
			lines := strings.Split(content, "\n")
			// The end of a line counts as its last column.
			if column < 1 || line > len(lines) || column > len(lines[line-1])+1 {
				t.Errorf("line %d, column %d is nowhere in %q", line, column, content)
			}
		})
	}
}

func TestOurOwnFilesThatDoNotHoldAreNamedAndStay(t *testing.T) {
	for _, file := range []string{"bootstrap/ledger.json", "identity/device-auth.json"} {
		for name, content := range map[string]string{
			"empty": "", "torn": `{"version": 1,`, "an array": "[]", "zero bytes": "\x00\x00",
		} {
			t.Run(file+" "+name, func(t *testing.T) {
				dir := t.TempDir()
				if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
					t.Fatal(err)
				}
				store := read(t, filepath.Join(dir, "devices", "paired.json"))
				path := filepath.Join(dir, file)
				write(t, path, content)
				_, err := pairSelf(t, options(dir), "operator.read")
				var fault *seed.StoreError
				if !errors.As(err, &fault) || fault.Path != path || !strings.Contains(fault.Hint(), "mv "+path) {
					t.Errorf("got %v", err)
				}
				if read(t, path) != content || read(t, filepath.Join(dir, "devices", "paired.json")) != store {
					t.Error("a file was changed")
				}
			})
		}
	}
}

func TestALedgerOfALaterReleaseIsNotReadAsOurs(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "bootstrap", "ledger.json")
	write(t, path, `{"version": 2, "devices": []}`)
	if _, err := pairSelf(t, options(dir), "operator.read"); !errors.As(err, new(*seed.StoreError)) {
		t.Errorf("got %v", err)
	}
}

func TestNoErrorHoldsAToken(t *testing.T) {
	dir := t.TempDir()
	result, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"devices/paired.json", "identity/device-auth.json"} {
		path := filepath.Join(dir, file)
		whole := read(t, path)
		for _, torn := range []string{
			whole[:strings.Index(whole, result.Token)+20],
			strings.Replace(whole, result.Token+`"`, result.Token, 1),
			whole + result.Token,
		} {
			write(t, path, torn)
			_, err := pairSelf(t, options(dir), "operator.read")
			if err == nil || strings.Contains(err.Error(), result.Token[:8]) {
				t.Errorf("%s: got %v", file, err)
			}
		}
		write(t, path, whole)
	}
}

func TestABundleIsCompleteAndStaysTheSame(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		bundles := filepath.Join(t.TempDir(), "bundles")
		var first map[string]string
		for range 3 {
			err := withSession(t, options(dir), func(session *seed.Session) error {
				bundle, err := seed.OpenBundle(bundles, "agent-1")
				if err != nil {
					return err
				}
				results, err := session.Pair(context.Background(), device(t, "agent-1", bundle.Identity, false, "operator.read"))
				if err != nil {
					return err
				}
				if id, _ := identity.Load(identity.FilePath(bundle.Dir)); !id.Equal(bundle.Identity) {
					t.Error("the key is not in the bundle")
				}
				if err := bundle.Finish(results[0], "ws://gateway:18789"); err != nil {
					return err
				}
				env := read(t, filepath.Join(bundle.Dir, "env"))
				for _, line := range []string{"OPENCLAW_GATEWAY_URL=ws://gateway:18789", "OPENCLAW_GATEWAY_TOKEN=" + results[0].Token} {
					if !strings.Contains(env, "\n"+line+"\n") {
						t.Errorf("%q is not in the bundle's env", line)
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			now := snapshot(t, bundles)
			if first == nil {
				first = now
			}
			for path, content := range now {
				if first[path] != content {
					t.Errorf("%s changed", path)
				}
			}
			if len(now) != len(first) || len(now) != 3 {
				t.Errorf("got %d files: key, token and variables are 3", len(now))
			}
		}
	})
}

func TestABundleIsNotMadeThroughALink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	if err := os.Symlink(elsewhere, filepath.Join(dir, "agent-1")); err != nil {
		t.Fatal(err)
	}
	if _, err := seed.OpenBundle(dir, "agent-1"); !errors.As(err, new(*seed.StoreError)) {
		t.Errorf("got %v", err)
	}
	if entries, err := os.ReadDir(elsewhere); err != nil || len(entries) > 0 {
		t.Errorf("something was written there: %v, %v", entries, err)
	}
}

func TestAGatewayTokenIsMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var tokens []string
	for range 2 {
		err := withSession(t, options(dir), func(session *seed.Session) error {
			token, created, err := session.GatewayToken()
			if created != (len(tokens) == 0) {
				t.Errorf("made: %v, after %d", created, len(tokens))
			}
			tokens = append(tokens, token)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if tokens[0] != tokens[1] || len(tokens[0]) != 43 {
		t.Error("another token, or none of 32 bytes")
	}
	path := filepath.Join(seed.Dir(dir), "gateway-token")
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	for _, content := range []string{"", "\n", " \n"} {
		write(t, path, content)
		err := withSession(t, options(dir), func(session *seed.Session) error {
			token, _, err := session.GatewayToken()
			if err == nil {
				t.Errorf("%q: handed out as the token %q", content, token)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}
