package cli

import (
	"encoding/json"
	"fmt"
	"os"
	"reflect"
	"slices"
	"testing"

	"github.com/reflectt/bootstrap/internal/probe"
)

// schema is as much of JSON Schema as testdata/preflight.schema.json uses.
type schema struct {
	Type                 string
	Required             []string
	Properties           map[string]schema
	AdditionalProperties *bool
	Enum                 []any
	Items                *schema
}

// check says where a value, as encoding/json reads it, is not what the schema wants.
func (s schema) check(at string, value any) (wrong []string) {
	kind := map[reflect.Kind]string{
		reflect.Map: "object", reflect.Slice: "array", reflect.String: "string", reflect.Bool: "boolean", reflect.Float64: "number",
	}[reflect.ValueOf(value).Kind()]
	if number, ok := value.(float64); ok && number == float64(int64(number)) && s.Type == "integer" {
		kind = "integer"
	}
	if kind != s.Type {
		return []string{fmt.Sprintf("%s is a %q, not a %q", at, kind, s.Type)}
	}
	if s.Enum != nil && !slices.Contains(s.Enum, value) {
		wrong = append(wrong, fmt.Sprintf("%s is %v", at, value))
	}
	object, _ := value.(map[string]any)
	for _, name := range s.Required {
		if _, there := object[name]; !there {
			wrong = append(wrong, at+" lacks "+name)
		}
	}
	for name, member := range object {
		property, known := s.Properties[name]
		switch {
		case known:
			wrong = append(wrong, property.check(at+"."+name, member)...)
		case s.AdditionalProperties != nil && !*s.AdditionalProperties:
			wrong = append(wrong, at+" has "+name)
		}
	}
	list, _ := value.([]any)
	for i, item := range list {
		wrong = append(wrong, s.Items.check(fmt.Sprintf("%s[%d]", at, i), item)...)
	}
	return wrong
}

func TestThePreflightHasTheFormOfReflecttNodesResults(t *testing.T) {
	data, err := os.ReadFile("testdata/preflight.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var wanted schema
	if err := json.Unmarshal(data, &wanted); err != nil {
		t.Fatal(err)
	}
	for level, verdict := range map[string]probe.Verdict{
		"pass": {
			OK: true, Outcome: probe.OK, URL: "ws://127.0.0.1:18789", DeviceID: "ab", Server: "2026.9.6",
			Scopes: []string{"operator.read"}, ElapsedMs: 12, Hints: []string{"none is due"},
		},
		"warn": {Outcome: probe.Unreachable, URL: "ws://127.0.0.1:18789", Message: "nobody answers", Hints: []string{"start it"}},
		"fail": {Outcome: probe.NotPaired, URL: "ws://127.0.0.1:18789", Message: "not paired", RequestID: "r1"},
	} {
		printed, err := json.Marshal(newPreflight(verdict))
		if err != nil {
			t.Fatal(err)
		}
		var value map[string]any
		if err := json.Unmarshal(printed, &value); err != nil {
			t.Fatal(err)
		}
		for _, wrong := range wanted.check("it", value) {
			t.Errorf("%s: %s", level, wrong)
		}
		if value["level"] != level || value["passed"] != verdict.OK {
			t.Errorf("%s: %s", level, printed)
		}
		if _, told := value["recovery"]; told == verdict.OK && level != "fail" {
			t.Errorf("%s: what to do is told, or not: %s", level, printed)
		}
	}
}
