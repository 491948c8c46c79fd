package seed_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// What is in a store before, and is none of ours, is there afterwards, to the
// byte; what cannot be understood stays as it is, and the error says what to do.

func TestAStoreThatCannotBeUnderstoodIsLeftAloneAndExplained(t *testing.T) {
	for name, content := range map[string]string{
		"0 bytes":                       "",
		"one space":                     " ",
		"zero bytes":                    strings.Repeat("\x00", 4096),
		"a NUL after the end":           "{}\x00",
		"a NUL in a name":               "{\"a\x00b\": {}}",
		"a byte order mark":             "\xef\xbb\xbf{}",
		"UTF-16":                        "\xff\xfe{\x00}\x00",
		"null":                          "null",
		"a list":                        "[]",
		"a string":                      `"{}"`,
		"a torn end":                    `{"aa": {"deviceId": "aa"}, "bb": {"dev`,
		"a comma too many":              `{"aa": {},}`,
		"two objects":                   "{}{}",
		"100,000 levels":                `{"aa": ` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + "}",
		"100,000 levels without an end": `{"aa": ` + strings.Repeat("[", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			stateDir, path := pairedFile(t, content)
			_, err := pairSelf(t, options(stateDir), "operator.read")
			var unusable *seed.StoreError
			if !errors.As(err, &unusable) {
				t.Fatalf("the error is %v", err)
			}
			if unusable.Path != path || unusable.Hint() == "" {
				t.Errorf("it names %s and says %q to do", unusable.Path, unusable.Hint())
			}
			if len(unusable.Error()) > 500 {
				t.Errorf("the message has %d bytes", len(unusable.Error()))
			}
			if read(t, path) != content {
				t.Error("the file was changed")
			}
		})
	}
}

func TestAStoreLargerThanAnyRealOneIsLeftAloneAndExplained(t *testing.T) {
	stateDir, path := pairedFile(t, "{}")
	const size = 300 << 20
	if err := os.Truncate(path, size); err != nil { // no byte of it takes room
		t.Fatal(err)
	}
	_, err := pairSelf(t, options(stateDir), "operator.read")
	var unusable *seed.StoreError
	if !errors.As(err, &unusable) || unusable.Hint() == "" {
		t.Errorf("the error is %v, and there is nothing that it says to do", err)
	}
	if info, err := os.Stat(path); err != nil || info.Size() != size {
		t.Error("the file was changed")
	}
}

// The shortest entry takes ten times as much in memory as in a file.
func TestAStoreOfMoreEntriesThanAnyRealOneIsLeftAloneAndExplained(t *testing.T) {
	content := func(entries int) string { return "{" + strings.Repeat(`"":0,`, entries-1) + `"":0}` }
	stateDir, path := pairedFile(t, content(300_001))
	_, err := pairSelf(t, options(stateDir), "operator.read")
	var unusable *seed.StoreError
	if !errors.As(err, &unusable) || unusable.Hint() == "" || !strings.Contains(err.Error(), "300000") {
		t.Errorf("the error is %v", err)
	}
	if read(t, path) != content(300_001) {
		t.Error("the file was changed")
	}
	write(t, path, content(299_999))
	if result, err := pairSelf(t, options(stateDir), "operator.read"); err != nil || result.Outcome != seed.Created {
		t.Errorf("with less it was %s, %v", result.Outcome, err)
	}
}

func TestAStoreKeepsEveryByteThatIsNotOurs(t *testing.T) {
	for name, kept := range map[string]string{
		"numbers beyond 2^53":            `"aa": {"createdAtMs": 9007199254740993, "x": 1e400, "y": -0.0, "z": 123456789012345678901234567890}`,
		"invalid UTF-8 in a name":        "\"\xff\xfe\": {\"displayName\": \"\xc3\x28\"}",
		"half a surrogate pair":          `"\ud800": {"displayName": "\udfff"}`,
		"escapes that need none":         `"\u0061\u0061": {"displayName": "\u003cb\u003e & \/"}`,
		"the same name twice":            `"aa": {"x": 1}, "aa": {"x": 2}`,
		"the same member twice":          `"aa": {"x": 1, "x": 2}`,
		"entries that are no objects":    `"aa": null, "bb": [], "cc": 7, "dd": "", "ee": true, "": {}`,
		"names that JavaScript dislikes": `"__proto__": {"x": 1}, "constructor": {}, "undefined": {}`,
		"a thousand levels":              `"aa": ` + strings.Repeat("[", 1000) + strings.Repeat("]", 1000),
		"blanks of every kind":           "\t\r\n \"aa\"\t:\r\n {} ",
		"100 MB":                         `"aa": {"displayName": "` + strings.Repeat("x", 100<<20) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			if len(kept) > 1<<20 && testing.Short() {
				t.Skip("skipped under -short: a store of 100 MB")
			}
			stateDir, path := pairedFile(t, "{"+kept+"}")
			result, err := pairSelf(t, options(stateDir), "operator.read")
			if err != nil {
				t.Fatal(err)
			}
			if result.Outcome != seed.Created {
				t.Errorf("the outcome is %s", result.Outcome)
			}
			after := read(t, path)
			if !strings.HasPrefix(after, "{"+strings.TrimRight(kept, " ")) || !strings.Contains(after, result.DeviceID) {
				t.Errorf("what was there is not there to the byte")
			}
			if result, err = pairSelf(t, options(stateDir), "operator.read"); err != nil || result.Outcome != seed.Unchanged {
				t.Errorf("the second time it was %s, %v", result.Outcome, err)
			}
		})
	}
}

// The device's own entry may be spoilt, too: it is completed, not refused, and
// the members that are not ours stay.
func TestAnEntryOfOursThatIsSpoiltIsCompleted(t *testing.T) {
	for name, entry := range map[string]string{
		"null": `null`, "a list": `[]`, "a number": `9007199254740993`, "empty": `{}`,
		"members of other types": `{"deviceId": 1, "publicKey": {}, "role": [], "roles": "operator", "scopes": {"a": 1}, "approvedScopes": null, "tokens": [], "createdAtMs": "x", "kept": 9007199254740993}`,
		"a token of other types": `{"tokens": {"operator": {"token": 5, "scopes": "all", "role": null}, "node": {"token": "n"}}, "kept": 9007199254740993}`,
		"everything twice":       `{"scopes": ["operator.read"], "scopes": 1, "tokens": {}, "tokens": {"operator": []}, "kept": 9007199254740993}`,
	} {
		t.Run(name, func(t *testing.T) {
			stateDir := t.TempDir()
			first, err := pairSelf(t, options(stateDir), "operator.read")
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(stateDir, "devices", "paired.json")
			write(t, path, `{"`+first.DeviceID+`": `+entry+`}`)
			result, err := pairSelf(t, options(stateDir), "operator.read")
			if err != nil || result.Outcome != seed.Updated || result.Token == "" {
				t.Fatalf("it was %s, %v", result.Outcome, err)
			}
			if strings.Contains(entry, "kept") && !strings.Contains(read(t, path), `"kept": 9007199254740993`) {
				t.Error("a member that is not ours is gone")
			}
			if result, err = pairSelf(t, options(stateDir), "operator.read"); err != nil || result.Outcome != seed.Unchanged {
				t.Errorf("the second time it was %s, %v", result.Outcome, err)
			}
		})
	}
}

// Our own ledger holds what nobody may bring back: one that cannot be read is
// never taken for an empty one.
func TestALedgerThatCannotBeUnderstoodIsLeftAloneAndNothingIsPaired(t *testing.T) {
	for name, content := range map[string]string{
		"0 bytes": "", "zero bytes": "\x00\x00\x00\x00", "a list": "[]", "null": "null",
		"a torn end": `{"version": 1, "dev`, "a byte order mark": "\xef\xbb\xbf{\"version\":1}",
		"of a later version":       `{"version": 2, "devices": {}}`,
		"a number beyond its type": `{"version": 1, "devices": {"aa": {"seededAtMs": 92233720368547758080}}}`,
		"a record of another type": `{"version": 1, "devices": {"aa": 1}}`,
	} {
		t.Run(name, func(t *testing.T) {
			stateDir := t.TempDir()
			path := filepath.Join(stateDir, "bootstrap", "ledger.json")
			write(t, path, content)
			_, err := pairSelf(t, options(stateDir), "operator.read")
			var unusable *seed.StoreError
			if !errors.As(err, &unusable) || unusable.Hint() == "" {
				t.Errorf("the error is %v", err)
			}
			if read(t, path) != content {
				t.Error("the file was changed")
			}
			if _, err := os.Lstat(filepath.Join(stateDir, "devices")); err == nil {
				t.Error("a store was made")
			}
		})
	}
}
