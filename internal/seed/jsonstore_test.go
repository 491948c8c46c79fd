package seed_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

func TestEverythingElseInTheStoreStaysToTheByte(t *testing.T) {
	others := map[string]string{
		"another device":                `  "aa": {"deviceId": "aa", "roles": ["node"]}`,
		"numbers beyond 2^53":           `  "aa": {"n": 9007199254740993, "f": 1.50e+300, "z": -0}`,
		"escapes and odd white space":   "\t\"a\\u0061\" :\t[ \"\\/\", \"\\ud800\", {}, [ ] ]  ",
		"invalid UTF-8 in a string":     "  \"aa\": \"\xff\xfe\"",
		"a name that is there twice":    `  "aa": 1, "aa": {"deviceId": "aa"}`,
		"a polluted row":                `  "aa": null, "bb": [], "cc": 7, "": false`,
		"braces and quotes in a string": `  "a}a": "}]{[\\\"", "b": "\\"`,
	}
	for name, other := range others {
		t.Run(name, func(t *testing.T) {
			dir, path := pairedFile(t, "{\n"+other+"\n}")
			if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
				t.Fatal(err)
			}
			after := read(t, path)
			if !strings.HasPrefix(after, "{\n"+strings.TrimRight(other, " ")) || !json.Valid([]byte(after)) {
				t.Errorf("got:\n%s", after)
			}
		})
	}
}

func TestUnknownFieldsOfOurOwnEntryStay(t *testing.T) {
	dir := t.TempDir()
	if _, err := pairSelf(t, options(dir), "operator.read"); err != nil {
		t.Fatal(err)
	}
	path := dir + "/devices/paired.json"
	write(t, path, strings.Replace(read(t, path), `"clientId": "cli",`, `"future": {"n": 12345678901234567890},`, 1))
	if _, err := pairSelf(t, options(dir), "operator.write"); err != nil {
		t.Fatal(err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, []byte(read(t, path))); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(compact.String(), `"future":{"n":12345678901234567890}`) {
		t.Errorf("got %s", compact.String())
	}
}

func TestAStoreThatCannotBeReadIsLeftAsItIs(t *testing.T) {
	for name, c := range map[string]struct{ content, want string }{
		"0 bytes":             {"", "0 bytes"},
		"a torn write":        {`{"aa": {"deviceId": "a`, "line 1, column"},
		"an error further on": {"{\n\"aa\": 1,\n  oops\n}", "line 3, column 3"},
		"a byte order mark":   {"\xef\xbb\xbf{}", "byte order mark"},
		"zero bytes":          {"\x00\x00\x00", "zero bytes"},
		"an array":            {"[]", "not a JSON object"},
		"null":                {"null", "not a JSON object"},
		"something after it":  {"{} {}", "line 1, column"},
		"a trailing comma":    {`{"aa": 1,}`, "line 1, column"},
		"nesting without end": {strings.Repeat(`{"a":`, 20000), "not JSON"},
		"a NUL in a string":   {"{\"a\x00\": 1}", "line 1, column"},
	} {
		t.Run(name, func(t *testing.T) {
			dir, path := pairedFile(t, c.content)
			_, err := pairSelf(t, options(dir), "operator.read")
			var fault *seed.StoreError
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) || fault.Path != path || fault.Hint() == "" {
				t.Errorf("got %v, want a fault of %s with %q", err, path, c.want)
			}
			if read(t, path) != c.content {
				t.Error("the store was changed")
			}
		})
	}
}

func FuzzJSONStore(f *testing.F) {
	f.Add([]byte(`{}`))
	f.Add([]byte("{\n  \"aa\": {\"deviceId\": \"aa\", \"tokens\": {}},\n  \"bb\": [1, \"}\"]\n}"))
	f.Add([]byte(`{"a":{"a":"\\\"}{"}  , "a" : -1.5e3 }` + "\n"))
	id := newIdentity(f)
	ours := device(f, "self", id, false, "operator.read")
	f.Fuzz(func(t *testing.T, data []byte) {
		dir, path := pairedFile(t, string(data))
		err := withSession(t, options(dir), func(session *seed.Session) error {
			_, err := session.Pair(context.Background(), ours)
			return err
		})
		after := read(t, path)
		if err != nil {
			if after != string(data) {
				t.Errorf("refused (%v) and yet changed:\n%s", err, after)
			}
			return
		}
		var before, now map[string]json.RawMessage
		if json.Unmarshal(data, &before) != nil || json.Unmarshal([]byte(after), &now) != nil {
			t.Fatalf("accepted what is no object, or wrote none:\n%s", after)
		}
		if now[id.DeviceID()] == nil {
			t.Error("our device is not there")
		}
		delete(now, id.DeviceID())
		delete(before, id.DeviceID())
		if !maps.EqualFunc(before, now, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
			t.Errorf("another device changed:\n%s\nbefore:\n%s", after, data)
		}
	})
}
