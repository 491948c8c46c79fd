package gateway

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestConfigurationIsReadAsJSON5(t *testing.T) {
	for text, want := range map[string]string{
		`{a:1,}`:                       `{"a":1}`,
		`{'a':'it\'s'}`:                `{"a":"it's"}`,
		"// c\n{a:/*x*/.5}/* e */":     `{"a":0.5}`,
		"\ufeff{\"a\":1}":              `{"a":1}`,
		"\ufeff{a:0xff}":               `{"a":255}`,
		`{a:'//no',b:"/*no*/"}`:        `{"a":"//no","b":"/*no*/"}`,
		"{a:\"two \\\nlines\"}":        `{"a":"two lines"}`,
		`{"a":1,"a":2}`:                `{"a":2}`,
		`{a:'[[[[', /* [[[ */ b:[[]]}`: `{"a":"[[[[","b":[[]]}`,
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
	for _, text := range []string{`{a:1}`, `{'a':"b",/*c*/d:[1,2,]}`, "//x\n{}", "{a:0x", "{a:'", "/*", "[[[[", "{a:+.5e3}", "\ufeff{}", "{a:\\u0061}"} {
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
