package gateway

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"
)

// Secret is a token or password. It prints as a placeholder in every form, so
// that a struct that holds one can be logged by mistake and nothing is lost.
type Secret struct{ value string }

func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself, for the wire and for nothing else.
func (s Secret) Reveal() string { return s.value }

func (s Secret) IsSet() bool { return s.value != "" }

// String, GoString and MarshalText never show the secret.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return "[secret]"
}

func (s Secret) GoString() string { return s.String() }

func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// SourceKind says where a value was found.
type SourceKind string

const (
	SourceNone      SourceKind = ""
	SourceArgv      SourceKind = "argv"
	SourceConfig    SourceKind = "config"      // openclaw.json
	SourceEnv       SourceKind = "environment" // the process environment
	SourceDotenv    SourceKind = "dotenv"      // a .env file
	SourceConfigEnv SourceKind = "config-env"  // env.vars in openclaw.json
	SourceFile      SourceKind = "file"        // a file named by argv or a secret reference
)

// Source is a place and its name there: a flag, a variable, a configuration key
// or a file. It holds no value and may be logged.
type Source struct {
	Kind SourceKind
	Name string
}

func (s Source) String() string {
	if s.Name == "" {
		return string(s.Kind)
	}
	return string(s.Kind) + " " + s.Name
}

// variables is the environment that the gateway works with once files have been
// loaded into it: each variable with the place it came from.
type variables struct {
	values  map[string]string
	sources map[string]Source
}

func newVariables(environment map[string]string) variables {
	v := variables{values: make(map[string]string), sources: make(map[string]Source)}
	for name, value := range environment {
		v.set(name, value, Source{SourceEnv, name})
	}
	return v
}

func (v variables) set(name, value string, source Source) {
	v.values[name] = value
	v.sources[name] = source
}

// has tells whether the variable is there, be it empty.
func (v variables) has(name string) bool {
	_, ok := v.values[name]
	return ok
}

func (v variables) trimmed(name string) string { return trimJS(v.values[name]) }

// envShorthand is $NAME as a whole value, which some releases take for a reference
// to a variable (2026.5.28, not 2026.4.29) and some for the text itself.
var envShorthand = pattern(`^\$[A-Z][A-Z0-9_]{0,127}$`)

// secret reads a token or password: text with ${NAME} in it, or a reference
// {source, provider, id} to a variable, a file, or a program. References to
// programs and stores cannot be told from outside.
func (r *configReader) secret(path string) SecretInput {
	input := SecretInput{Set: true, Source: Source{SourceConfig, path}}
	switch value := r.at(path).(type) {
	case nil:
		return SecretInput{}
	case string:
		return r.secretText(path, value)
	case map[string]any:
		input.ByRef = true
		text, source, doubt := r.secretRef(value)
		input.Secret, input.InDoubt = NewSecret(trimJS(text)), doubt
		if doubt == "" && text == "" {
			input.InDoubt = "refers to something empty"
		}
		if input.InDoubt != "" {
			input.InDoubt = path + " " + input.InDoubt
		}
		if source.Kind != SourceNone {
			input.Source = source
		}
		return input
	}
	input.InDoubt = path + " is neither text nor a reference"
	return input
}

func (r *configReader) secretText(path, value string) SecretInput {
	if trimJS(value) == "" {
		return SecretInput{}
	}
	input := SecretInput{Set: true, Source: Source{SourceConfig, path}}
	text, problem := substitute(value, r.vars)
	switch {
	case problem != "":
		input.ByRef = true
		input.InDoubt = path + " " + problem
	case envShorthand().MatchString(trimJS(text)) && r.release.since(2026, 5, 7):
		input.ByRef = true
		input.InDoubt = path + " has the short form $NAME, which not every release reads alike"
	default:
		input.Secret = NewSecret(trimJS(text))
	}
	return input
}

// secretRef resolves a reference as the gateway's secret providers do. The last
// result says why it cannot be told.
func (r *configReader) secretRef(ref map[string]any) (text string, source Source, doubt string) {
	kind, _ := ref["source"].(string)
	id, _ := ref["id"].(string)
	name, _ := ref["provider"].(string)
	usual, _ := r.at("secrets.defaults." + kind).(string)
	usual = cmp.Or(usual, "default")
	name = cmp.Or(name, usual)
	providers, _ := r.at("secrets.providers").(map[string]any)
	provider, configured := providers[name].(map[string]any)
	switch {
	case kind != "env" && kind != "file":
		return "", Source{}, "refers to a source that only the gateway can ask"
	case !configured && (kind != "env" || name != usual):
		return "", Source{}, "refers to a provider that is not configured"
	case configured && provider["source"] != kind:
		return "", Source{}, "refers to a provider of another source"
	case kind == "env":
		return r.secretVariable(id, provider)
	}
	return r.secretFile(id, provider)
}

func (r *configReader) secretVariable(id string, provider map[string]any) (string, Source, string) {
	if allowed, ok := provider["allowlist"].([]any); ok && !slices.Contains(allowed, any(id)) {
		return "", Source{}, "refers to a variable that its provider does not allow"
	}
	if r.vars.trimmed(id) == "" {
		return "", Source{}, "refers to a variable that is not set"
	}
	return r.vars.values[id], r.vars.sources[id], ""
}

// secretFile reads a file provider: the whole file (mode singleValue, id "value")
// or a place in a JSON object, given as a JSON pointer.
func (r *configReader) secretFile(id string, provider map[string]any) (string, Source, string) {
	name, _ := provider["path"].(string)
	name, problem := substitute(name, r.vars)
	if name == "" || problem != "" {
		return "", Source{}, "refers to a file without a usable path"
	}
	path := expandPath(name, r.env, r.release)
	data, err := readRegular(path, maxSecretBytes)
	if err != nil {
		return "", Source{}, "refers to a file: " + err.Error()
	}
	source := Source{SourceFile, path}
	text := strings.TrimPrefix(string(data), "\ufeff")
	if provider["mode"] == "singleValue" {
		if id != "value" {
			return "", Source{}, "refers to a part of a file that is one value"
		}
		return strings.TrimSuffix(strings.TrimSuffix(text, "\n"), "\r"), source, ""
	}
	var value any
	if json.Unmarshal([]byte(text), &value) != nil {
		return "", Source{}, "refers to a file that is not JSON"
	}
	found, ok := jsonPointer(value, id).(string)
	if !ok {
		return "", Source{}, "refers to a place in a file where there is no text"
	}
	return found, source, ""
}

func jsonPointer(value any, pointer string) any {
	rest, ok := strings.CutPrefix(pointer, "/")
	if !ok {
		return nil
	}
	for token := range strings.SplitSeq(rest, "/") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
	}
	return value
}
