package gateway

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestConfigurationIsReadAsJSON5(t *testing.T) {
	for text, want := range map[string]string{
		`{a:1,}`:                          `{"a":1}`,
		`{'a':'it\'s'}`:                   `{"a":"it's"}`,
		"// c\n{a:/*x*/.5}/* e */":        `{"a":0.5}`,
		"\ufeff{\"a\":1}":                 `{"a":1}`,
		"\ufeff{a:0xff}":                  `{"a":255}`,
		`{a:'//no',b:"/*no*/"}`:           `{"a":"//no","b":"/*no*/"}`,
		"{a:\"two \\\nlines\"}":           `{"a":"two lines"}`,
		`{"a":1,"a":2}`:                   `{"a":2}`,
		"\ufeff{\u00a0\"a\"\v:\u20031}\f": `{"a":1}`,
		"{a:1,\u2028b:2}\ufeff":           `{"a":1,"b":2}`,
		"{a:'x\ty\x01'}":                  `{"a":"x\ty\u0001"}`,
		"{é:1,größe1 : 2,ok:3}":           `{"größe1":2,"ok":3,"é":1}`,
		`{a:"\x41\v\0",b:'\q\é\/'}`:       `{"a":"A\u000b\u0000","b":"qé/"}`,
		"{a:'a\\\r\nb\\\u2028c\\\td'}":    `{"a":"abc\td"}`,
		`{a:"\\x41"}`:                     `{"a":"\\x41"}`,
		`{a:'[[[[', /* [[[ */ b:[[]]}`:    `{"a":"[[[[","b":[[]]}`,
	} {
		value, err := parseJSON5([]byte(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if got, _ := json.Marshal(value); string(got) != want {
			t.Errorf("%q gives %s, want %s", text, got, want)
		}
	}
}

func TestBrokenConfigurationNamesThePlaceAndNothingElse(t *testing.T) {
	_, err := parseJSON5([]byte("{\n  gateway: {\n    auth: { token: 'hush' sesame }\n  }\n}"))
	if err == nil || err.Error() != "line 3, column 27: not JSON5" {
		t.Errorf("got %v", err)
	}
}

// npm's json5 refuses these as well.
func TestWhatIsNoJSON5IsRefused(t *testing.T) {
	for _, text := range []string{`{a:é}`, `{a:"\1"}`, `{a:"\01"}`, `{a:"\x4"}`, "{a:'x\ny'}", "{a\u00b7:1}", "{a:1\u0085}", "{\u00b7:1}", `{a:"\`, `{"a":1}}`} {
		if value, err := parseJSON5([]byte(text)); err == nil {
			t.Errorf("%q gives %v", text, value)
		}
	}
}

func TestAPlaceIsThatOfTheFile(t *testing.T) {
	_, err := parseJSON5([]byte("{\n  é: '\t\\x41', /* c */\u00a0b: nope }"))
	if err == nil || err.Error() != "line 2, column 28: not JSON5" {
		t.Errorf("got %v", err)
	}
}

func TestDeepNestingIsRefused(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("[", 1<<20),
		strings.Repeat("{a:", 1<<20),
		strings.Repeat("[", maxNesting+1) + strings.Repeat("]", maxNesting+1),
	} {
		if _, err := parseJSON5([]byte(text)); err == nil || !strings.Contains(err.Error(), "nested") {
			t.Errorf("got %v", err)
		}
	}
	if _, err := parseJSON5([]byte(strings.Repeat("[", maxNesting) + strings.Repeat("]", maxNesting))); err != nil {
		t.Error(err)
	}
}

func FuzzJSON5(f *testing.F) {
	for _, text := range []string{`{a:1}`, `{'a':"b",/*c*/d:[1,2,]}`, "//x\n{}", "{a:0x", "{a:'", "/*", "[[[[", "{a:+.5e3}", "\ufeff{}", "{a:\\u0061}", "{é:'\\x41\t\\\u2028'}\u00a0"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(_ *testing.T, data []byte) {
		value, err := parseJSON5(data)
		if err != nil {
			return
		}
		root, _ := value.(map[string]any)
		reader := configReader{root: root, vars: newVariables(map[string]string{"A": "b"})}
		reader.applyEnv()
		reader.read(&Config{})
	})
}
