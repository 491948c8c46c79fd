package gateway

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
