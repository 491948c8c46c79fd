package seed_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

func TestASecondRunChangesNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		first, err := pairSelf(t, options(dir), "operator.read")
		if err != nil || first.Outcome != seed.Created || len(first.Token) != 43 {
			t.Fatalf("first run: %+v, %v", first, err)
		}
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil { // takes the device as confirmed
			t.Fatal(err)
		}
		before := snapshot(t, dir)
		again, err := pairSelf(t, options(dir), "operator.read")
		if err != nil || again.Outcome != seed.Unchanged || again.Token != first.Token {
			t.Fatalf("later run: %+v, %v", again, err)
		}
		for path, content := range snapshot(t, dir) {
			if before[path] != content {
				t.Errorf("%s changed", path)
			}
		}
	})
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path] = read(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestMoreScopesAreAddedAndNoneTaken(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		first, err := pairSelf(t, options(dir), "operator.read", "operator.write")
		if err != nil {
			t.Fatal(err)
		}
		wider, err := pairSelf(t, options(dir), "operator.pairing")
		want := []string{"operator.pairing", "operator.read", "operator.write"}
		if err != nil || wider.Outcome != seed.Updated || !slices.Equal(wider.Scopes, want) || wider.Token != first.Token {
			t.Errorf("got %+v, %v", wider, err)
		}
		if !slices.Equal(wider.Wider, want[1:]) {
			t.Errorf("what nobody asked for any more: %v", wider.Wider)
		}
	})
}

func TestARemovedDeviceStaysRemoved(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		for range 2 {
			if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
				t.Fatal(err)
			}
		}
		remove(t, dir)
		for range 2 {
			result, err := pairSelf(t, options(dir), "operator.read")
			if err != nil || result.Outcome != seed.Revoked || result.Token != "" {
				t.Errorf("got %+v, %v", result, err)
			}
		}
	})
}

func TestAWriteThatARunningGatewayLostIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	live := options(dir)
	live.Live = func(context.Context, seed.Credentials) bool { panic("killed before it is certain") }
	func() {
		defer func() { _ = recover() }()
		_, err := pairSelf(t, live, "operator.read")
		t.Errorf("not killed: %v", err)
	}()
	remove(t, dir) // a lost write looks like this
	connects := 0
	live.Live = func(_ context.Context, own seed.Credentials) bool {
		if connects++; connects == 1 {
			remove(t, dir)
		}
		return own.Token != ""
	}
	if result, err := pairSelf(t, live, "operator.read"); err != nil || result.Outcome != seed.Created || !result.Again || connects != 2 {
		t.Errorf("got %+v after %d connects, %v", result, connects, err)
	}
	if result, err := pairSelf(t, live, "operator.read"); err != nil || result.Outcome != seed.Unchanged {
		t.Errorf("found: %+v, %v", result, err)
	}
	remove(t, dir)
	if result, err := pairSelf(t, live, "operator.read"); err != nil || result.Outcome != seed.Revoked {
		t.Errorf("removed after it was found: %+v, %v", result, err)
	}
}

func TestADeviceThatWasRemovedBeforeAnyLaterRunStaysRemoved(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
		remove(t, dir)
		for range 3 {
			if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Revoked {
				t.Errorf("got %+v, %v", result, err)
			}
		}
	})
}

func TestAMalformedStoreThatWasMovedAwayIsSeededAgain(t *testing.T) {
	dir := t.TempDir()
	if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "devices", "paired.json")
	write(t, path, "{")
	if _, err := pairSelf(t, options(dir), "operator.read"); err == nil {
		t.Fatal("a torn store was taken")
	}
	// What the hint says.
	if err := os.Rename(path, path+".broken"); err != nil {
		t.Fatal(err)
	}
	if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Created {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestAFirstBootThatHasNotImportedYetLosesNothing(t *testing.T) {
	dir := t.TempDir()
	before, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "devices", "paired.json")
	write(t, path, strings.Replace(read(t, path), `"operator"`+"\n", `"operator", "node"`+"\n", 1))
	migrate(t, dir) // the database is there, the import is not done
	after, err := pairSelf(t, options(dir), "operator.read")
	if err != nil || after.Token != before.Token || after.DeviceID != before.DeviceID {
		t.Errorf("got %+v, %v; before %+v", after, err, before)
	}
	var roles string
	err = openDatabase(t, dir).QueryRow("SELECT roles_json FROM device_pairing_paired").Scan(&roles)
	if err != nil || !strings.Contains(roles, "node") {
		t.Errorf("roles %s, %v", roles, err)
	}
}

// remove empties the pairing store, as "openclaw devices remove" would.
func remove(t *testing.T, dir string) {
	t.Helper()
	if path := filepath.Join(dir, "devices", "paired.json"); exists(path) {
		write(t, path, "{}")
	}
	if exists(filepath.Join(dir, "state")) {
		if _, err := openDatabase(t, dir).Exec("DELETE FROM device_pairing_paired"); err != nil {
			t.Fatal(err)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func TestARevokedTokenStaysRevoked(t *testing.T) {
	dir := t.TempDir()
	first, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "devices", "paired.json")
	revoked := strings.Replace(read(t, path), `"role": "operator",`, `"revokedAtMs": 1795363114227, "role": "operator",`, 2)
	write(t, path, revoked)
	result, err := pairSelf(t, options(dir), "operator.read")
	if err != nil || result.Outcome != seed.Revoked || result.Token == first.Token {
		t.Errorf("got %+v, %v", result, err)
	}
	if read(t, path) != revoked {
		t.Error("the store was changed")
	}
}

func TestANewVolumeIsSeededAgain(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.RemoveAll(filepath.Join(dir, "devices")); err != nil {
		t.Fatal(err)
	}
	if result, err := pairSelf(t, options(dir), "operator.read"); err != nil || result.Outcome != seed.Created {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestManyAtOnceLoseNothing(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		const many = 20
		var group sync.WaitGroup
		all := make([]seed.Device, many)
		for i := range many {
			all[i] = device(t, "client", newIdentity(t), false, "operator.read")
			group.Go(func() {
				err := withSession(t, options(dir), func(session *seed.Session) error {
					_, err := session.Pair(context.Background(), all[i])
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		wantNoneLost(t, options(dir), all...)
	})
}

func TestAnImportedKeyNeverReplacesAnotherOne(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		imported := newIdentity(t)
		self := func(id identity.Identity) (got identity.Identity, err error) {
			err = withSession(t, options(dir), func(session *seed.Session) error {
				got, _, err = session.Self(context.Background(), id, identity.Identity{})
				return err
			})
			return got, err
		}
		if got, err := self(imported); err != nil || !got.Equal(imported) {
			t.Fatalf("the first import: %v", err)
		}
		if got, err := self(imported); err != nil || !got.Equal(imported) {
			t.Errorf("the same key again: %v", err)
		}
		if _, err := self(newIdentity(t)); !errors.As(err, new(*identity.Error)) {
			t.Errorf("another key: %v", err)
		}
		if got, err := self(identity.Identity{}); err != nil || !got.Equal(imported) {
			t.Errorf("afterwards: %v", err)
		}
	})
}

func TestADatabaseTakesTheIdentityOfItsFolder(t *testing.T) {
	dir := database(t, gatewayTables(t))
	id := newIdentity(t)
	if err := id.Store(identity.FilePath(dir)); err != nil {
		t.Fatal(err)
	}
	result, err := pairSelf(t, options(dir), "operator.read")
	if err != nil || result.DeviceID != id.DeviceID() {
		t.Errorf("got device %s, %v; the file has %s", result.DeviceID, err, id.DeviceID())
	}
}

func TestTheDatabaseDecidesWhichStoreCounts(t *testing.T) {
	for name, c := range map[string]struct {
		script string
		era    gateway.Era
		want   seed.Kind
	}{
		"as 2026.7.1 leaves it":                {strings.Replace(gatewayTables(t), "user_version = 18", "user_version = 1", 1), gateway.EraUnknown, seed.JSON},
		"the same below 2026.9.6":              {strings.Replace(gatewayTables(t), "user_version = 18", "user_version = 1", 1), gateway.EraSQLite, seed.JSON},
		"as 2026.9.6 leaves it":                {gatewayTables(t), gateway.EraUnknown, seed.SQLite},
		"the same below a JSON-era release":    {gatewayTables(t), gateway.EraJSON, seed.JSON},
		"a schema that nobody has seen so far": {strings.Replace(gatewayTables(t), "user_version = 18", "user_version = 99", 1), gateway.EraSQLite, seed.SQLite},
	} {
		t.Run(name, func(t *testing.T) {
			options := options(database(t, c.script))
			options.Era = c.era
			err := withSession(t, options, func(session *seed.Session) error {
				if got := session.Store().Kind; got != c.want {
					t.Errorf("got %s", got)
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}

func TestADowngradedGatewayKeepsItsDevice(t *testing.T) {
	dir := database(t, gatewayTables(t))
	before, err := pairSelf(t, options(dir), "operator.read")
	if err != nil {
		t.Fatal(err)
	}
	older := options(dir)
	older.Era = gateway.EraJSON
	after, err := pairSelf(t, older, "operator.read")
	if err != nil || after.DeviceID != before.DeviceID || after.Outcome != seed.Created {
		t.Errorf("got %+v, %v; before: %+v", after, err, before)
	}
	if id, err := identity.Load(identity.FilePath(dir)); err != nil || id.DeviceID() != before.DeviceID {
		t.Errorf("the file for the older release: %v", err)
	}
}

func TestTheGoldenEntryIsWritten(t *testing.T) {
	dir := t.TempDir()
	full, err := seed.Scopes("full", gateway.Release{Known: true, Version: gateway.Version{Year: 2026, Month: 5, Patch: 28}})
	if err != nil {
		t.Fatal(err)
	}
	result, err := pairSelf(t, options(dir), full...)
	if err != nil {
		t.Fatal(err)
	}
	var store map[string]map[string]any
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "devices", "paired.json"))), &store); err != nil {
		t.Fatal(err)
	}
	entry := store[result.DeviceID]
	for _, pin := range []string{"platform", "deviceFamily"} {
		if _, there := entry[pin]; there {
			t.Errorf("%s would pin the client", pin)
		}
	}
	token := entry["tokens"].(map[string]any)["operator"].(map[string]any)
	for what, got := range map[string]any{"scopes": entry["scopes"], "approvedScopes": entry["approvedScopes"], "token scopes": token["scopes"]} {
		if scopes, _ := json.Marshal(got); string(scopes) != `["operator.admin","operator.approvals","operator.pairing","operator.read","operator.talk.secrets","operator.write"]` {
			t.Errorf("%s: %s", what, scopes)
		}
	}
	if token["token"] != result.Token || token["role"] != "operator" || entry["role"] != "operator" {
		t.Errorf("got %v", entry)
	}
	var local struct {
		Version  int
		DeviceID string
		Tokens   map[string]struct{ Token string }
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(dir, "identity", "device-auth.json"))), &local); err != nil {
		t.Fatal(err)
	}
	if local.Version != 1 || local.DeviceID != result.DeviceID || local.Tokens["operator"].Token != result.Token {
		t.Errorf("device-auth.json: %+v", local)
	}
}

// The columns hold whole numbers: what an entry has instead is no reason to pair nobody.
func TestAnEntryWithAnOddTimeIsTakenIntoTheDatabase(t *testing.T) {
	for _, odd := range []string{"1.5", "1.76e12", "1e400", `"soon"`, "99999999999999999999"} {
		t.Run(odd, func(t *testing.T) {
			dir := t.TempDir()
			before, err := pairSelf(t, options(dir), "operator.read")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(dir, "devices", "paired.json")
			write(t, path, regexp.MustCompile(`AtMs": \d+`).ReplaceAllString(read(t, path), `AtMs": `+odd))
			migrate(t, dir) // the database is there, the import is not done
			after, err := pairSelf(t, options(dir), "operator.read")
			if err != nil || after.Token != before.Token {
				t.Errorf("got %+v, %v", after.Outcome, err)
			}
		})
	}
}
