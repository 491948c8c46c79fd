package seed_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// sourced is what "set -a; . ./env" gives a shell that had no variables before,
// and whatever the file made it run.
func sourced(t testing.TB, dir string) (variables map[string]string, ran bool) {
	t.Helper()
	// The file's commands would find nothing but echo and the like.
	empty := t.TempDir()
	cmd := exec.Command("/bin/sh", "-euc", `set -a; . "$1/env"; exec "$2" -0`, "sh", dir, lookPath(t, "env"))
	cmd.Env, cmd.Dir = []string{"PATH=" + empty}, empty
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s\n%q", err, out, read(t, filepath.Join(dir, "env")))
		return nil, true
	}
	variables = map[string]string{}
	for line := range strings.SplitSeq(strings.TrimSuffix(string(out), "\x00"), "\x00") {
		name, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, true // something was printed
		}
		variables[name] = value
	}
	for _, own := range []string{"PATH", "PWD", "OLDPWD", "SHLVL", "_"} {
		delete(variables, own)
	}
	left, err := os.ReadDir(empty)
	return variables, err != nil || len(left) > 0
}

func lookPath(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// hostileTokens are what a gateway, or whoever stands between, may answer with.
var hostileTokens = []string{
	"$(id>PWNED)", "`id>PWNED`", "a\nid>PWNED", "a;id>PWNED", "a id", "'", "a'b", `"`, "\\", "#", "", "a\x00b", "é", "\xff",
	"a\r", "-\n", strings.Repeat("a", 513), "a&b", ">PWNED", "a|b", "*",
}

// What a store says of a device of ours may come from whoever can write that
// store, which is not whoever sources the bundle on another volume.
func TestATokenInAStoreThatIsNoTokenIsReplacedAndReachesNoShell(t *testing.T) {
	eachStore(t, func(t *testing.T, stateDir string) {
		for _, hostile := range hostileTokens {
			bundle, err := seed.OpenBundle(t.TempDir(), "agent")
			if err != nil {
				t.Fatal(err)
			}
			ours := device(t, "agent", bundle.Identity, false, "operator.read")
			plantToken(t, stateDir, ours, hostile)
			err = withSession(t, options(stateDir), func(session *seed.Session) error {
				results, err := session.Pair(context.Background(), ours)
				if err != nil {
					return err
				}
				if !identity.IsToken(results[0].Token) || results[0].Token == hostile {
					t.Errorf("%q: the token is %q", hostile, results[0].Token)
				}
				return bundle.Finish(results[0], "ws://gateway:18789")
			})
			if err != nil {
				t.Errorf("%q: %v", hostile, err)
				continue
			}
			got, ran := sourced(t, bundle.Dir)
			if ran || len(got) != 2 || !identity.IsToken(got["OPENCLAW_GATEWAY_TOKEN"]) {
				t.Errorf("%q became %q, and ran something: %v", hostile, got, ran)
			}
		}
	})
}

// plantToken seeds a device, and then gives it a token as nobody else would.
func plantToken(t *testing.T, stateDir string, ours seed.Device, token string) {
	t.Helper()
	var result seed.Result
	err := withSession(t, options(stateDir), func(session *seed.Session) error {
		results, err := session.Pair(context.Background(), ours)
		if err == nil {
			result = results[0]
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if path := filepath.Join(stateDir, "devices", "paired.json"); fileExists(path) {
		write(t, path, strings.ReplaceAll(read(t, path), `"`+result.Token+`"`, jsonText(t, token)))
		return
	}
	db := openDatabase(t, stateDir)
	_, err = db.Exec(`UPDATE device_pairing_paired SET tokens_json = replace(tokens_json, ?, ?) WHERE device_id = ?`,
		`"`+result.Token+`"`, jsonText(t, token), result.DeviceID)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// Somebody else's device is none of our business, whatever its token looks like.
func TestATokenOfAForeignDeviceStaysToTheByte(t *testing.T) {
	const foreign = `"aa": {"deviceId": "aa", "tokens": {"operator": {"token": "$(id>PWNED)\n", "scopes": []}}}`
	stateDir, path := pairedFile(t, "{"+foreign+"}")
	if _, err := pairSelf(t, options(stateDir), "operator.read"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(read(t, path), "{"+foreign) {
		t.Error("it was changed")
	}
}

// Whatever a caller hands over, the file that a shell reads means just that.
func FuzzEnv(f *testing.F) {
	for _, token := range hostileTokens {
		f.Add(token, "ws://gateway:18789", "linux", "", "cli", "cli")
		f.Add("token", "ws://"+token, "linux", "", "cli", "cli")
		f.Add("token", "ws://gateway:18789", token, token, token, token)
	}
	f.Add("~root", "~root", "a", "b", "c", "d")
	f.Add("a.~+/=-_Z9", "ws://[::1]:18789/~x?a=b&c='d'#e", "darwin", "iPad/Pro:1@x+y", "x", "y")
	f.Fuzz(func(t *testing.T, token, url, platform, family, id, mode string) {
		bundle := seed.Bundle{Dir: t.TempDir()}
		wanted := map[string]string{}
		err := bundle.Finish(seed.Result{Name: "agent", DeviceID: strings.Repeat("a", 64), Token: token}, url)
		if err == nil {
			wanted["OPENCLAW_GATEWAY_URL"], wanted["OPENCLAW_GATEWAY_TOKEN"] = url, token
		} else if identity.IsToken(token) && url == "ws://gateway:18789" {
			t.Errorf("refused: %v", err)
		}
		kind := seed.ClientKind{Platform: platform, Family: family, ID: id, Mode: mode}
		if bundle.Describe(kind) == nil {
			for name, value := range map[string]string{"PLATFORM": platform, "FAMILY": family, "ID": id, "MODE": mode} {
				if value != "" {
					wanted["BOOTSTRAP_CLIENT_"+name] = value
				}
			}
			if got, err := bundle.Kind(); err != nil || got != kind {
				t.Errorf("%+v is read as %+v, %v", kind, got, err)
			}
		}
		if !fileExists(filepath.Join(bundle.Dir, "env")) {
			if len(wanted) > 0 {
				t.Error("nothing was written")
			}
			return
		}
		got, ran := sourced(t, bundle.Dir)
		if ran {
			t.Errorf("something was run by %q", read(t, filepath.Join(bundle.Dir, "env")))
		}
		if len(got) != len(wanted) {
			t.Errorf("got %q, not %q", got, wanted)
		}
		for name, value := range wanted {
			if got[name] != value {
				t.Errorf("%s is %q, not %q", name, got[name], value)
			}
		}
	})
}
