package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
)

// Config is the little of openclaw.json that decides where and how a gateway can
// be reached. Other keys are not looked at.
type Config struct {
	Files []string // files included into it

	Mode           string // gateway.mode: without "local" the gateway does not start
	RemoteURL      string // gateway.remote.url as it stands there: where a client of another gateway connects
	Port           int    // gateway.port, 0 when unset
	Bind           string
	CustomBindHost string
	TLS            bool   // gateway.tls.enabled
	Certificate    string // the file of the one it serves TLS with
	Tailscale      string
	AuthMode       string
	Token          SecretInput
	Password       SecretInput
	RemoteToken    bool // gateway.remote.token is set
	RemotePassword bool // gateway.remote.password is set
	ShellEnv       bool // env.shellEnv.enabled: a login shell's variables count too
	// NoControlUI: gateway.controlUi.enabled is false.
	NoControlUI bool
	// BasePath is gateway.controlUi.basePath, the Control UI's place below the gateway's
	// address: it begins with a slash and ends with none, or is empty.
	BasePath string
	// AllowedOrigins and TrustedProxies are gateway.controlUi.allowedOrigins and
	// gateway.trustedProxies: who may be a browser's page, and a proxy.
	AllowedOrigins, TrustedProxies []string

	// InDoubt says why these values may not be the gateway's: the file cannot be
	// read or understood. "" means no doubt. It holds no secrets.
	InDoubt string
	// Broken: it is no JSON5, as far as InDoubt can tell.
	Broken bool
}

// SecretInput is a token or password as the configuration gives it.
type SecretInput struct {
	Secret  Secret
	Set     bool   // there is one, even if its value is unknown
	ByRef   bool   // given as a secret reference, not as text
	InDoubt string // why the value is unknown
	Source  Source
}

// readConfig reads the file, puts its env section into vars, and resolves what
// remains with them, in the gateway's order: includes, env, ${NAME}.
func readConfig(path string, env Environment, release Release, vars variables) Config {
	var config Config
	data, err := readRegular(path, maxConfigBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return config
	}
	if err != nil {
		config.InDoubt = err.Error()
		return config
	}
	includes := newIncluder(path, env, release, vars)
	if err := includes.count(data); err != nil {
		config.InDoubt = fmt.Sprintf("cannot read %s: %v", path, err)
		return config
	}
	value, err := parseJSON5(data)
	if err != nil {
		config.InDoubt, config.Broken = fmt.Sprintf("cannot read %s: %v", path, err), true
		return config
	}
	value, err = includes.resolve(value, []string{path})
	config.Files = includes.files
	if err != nil {
		config.InDoubt = err.Error()
		return config
	}
	root, ok := value.(map[string]any)
	if !ok {
		config.InDoubt = fmt.Sprintf("cannot read %s: not an object", path)
		return config
	}
	reader := configReader{root: root, vars: vars, env: env, release: release}
	reader.applyEnv()
	reader.read(&config)
	config.InDoubt = strings.Join(reader.doubts, "; ")
	return config
}

// configReader takes values out of the tree and notes what is not as it should be.
type configReader struct {
	root    map[string]any
	vars    variables
	env     Environment
	release Release
	doubts  []string
}

func (r *configReader) read(config *Config) {
	config.Mode = r.text("gateway.mode")
	config.Port = r.port("gateway.port")
	config.Bind = r.text("gateway.bind")
	if text, is := r.at("gateway.bind").(string); is { // as it stands there: a variable's value is not repaired
		config.Bind = cmp.Or(oldBinds[strings.ToLower(trimJS(text))], config.Bind)
	}
	config.CustomBindHost = r.text("gateway.customBindHost")
	if config.TLS = r.flag("gateway.tls.enabled"); config.TLS {
		// Where it is missing there, the gateway makes it (2026.9.6).
		config.Certificate = cmp.Or(expandPath(r.text("gateway.tls.certPath"), r.env, r.release),
			filepath.Join(configDir(r.env, r.release), "gateway", "tls", "gateway-cert.pem"))
	}
	config.Tailscale = r.text("gateway.tailscale.mode")
	config.AuthMode = r.text("gateway.auth.mode")
	config.Token = r.secret("gateway.auth.token")
	config.Password = r.secret("gateway.auth.password")
	config.RemoteToken = r.at("gateway.remote.token") != nil
	config.RemotePassword = r.at("gateway.remote.password") != nil
	config.ShellEnv = r.flag("env.shellEnv.enabled")
	config.NoControlUI = r.at("gateway.controlUi.enabled") == false
	if text, is := r.at("gateway.controlUi.basePath").(string); is { // a link is in doubt, not a start
		text, _ = substitute(text, r.vars)
		config.BasePath = basePath(trimJS(text))
	}
	if text, is := r.at("gateway.remote.url").(string); is { // nothing to a gateway
		text, _ = substitute(text, r.vars)
		config.RemoteURL = trimJS(text)
	}
	config.AllowedOrigins = r.texts("gateway.controlUi.allowedOrigins")
	config.TrustedProxies = r.texts("gateway.trustedProxies")
	r.choice("gateway.bind", config.Bind, bindModes)
	r.choice("gateway.auth.mode", config.AuthMode, authModes)
}

// oldBinds are what gateway.bind once was; 2026.9.6 repairs them when it starts.
var oldBinds = map[string]string{
	"0.0.0.0": "lan", "::": "lan", "[::]": "lan", "*": "lan",
	"127.0.0.1": "loopback", "localhost": "loopback", "::1": "loopback", "[::1]": "loopback",
}

// basePath is a place as the gateway understands it (2026.9.6): with or without slashes.
func basePath(text string) string {
	if text = strings.Trim(text, "/"); text == "" {
		return ""
	}
	return (&url.URL{Path: "/" + text}).EscapedPath()
}

func (r *configReader) doubt(format string, args ...any) {
	r.doubts = append(r.doubts, fmt.Sprintf(format, args...))
}

// applyEnv sets the variables of the env section that are not set yet (or empty).
// Values that refer to others follow last: they may refer to the plain ones.
func (r *configReader) applyEnv() {
	section, _ := r.at("env").(map[string]any)
	entries := make(map[string]string)
	collect := func(from map[string]any) {
		for name, value := range from {
			if text, ok := value.(string); ok && trimJS(text) != "" && portableName().MatchString(name) {
				entries[name] = text
			}
		}
	}
	nested, _ := section["vars"].(map[string]any)
	collect(nested)
	collect(section)
	names := slices.SortedFunc(maps.Keys(entries), func(a, b string) int {
		return cmp.Or(btoi(hasReference(entries[a]))-btoi(hasReference(entries[b])), strings.Compare(a, b))
	})
	for _, name := range names {
		if r.vars.trimmed(name) != "" {
			continue
		}
		value, problem := substitute(entries[name], r.vars)
		if problem != "" {
			continue
		}
		r.vars.set(name, value, Source{SourceConfigEnv, name})
		if selectsTarget[name] {
			r.doubt("the env section sets %s, which may move the state directory", name)
		}
	}
}

// at walks to a dotted path; nil where there is nothing.
func (r *configReader) at(path string) any {
	var value any = r.root
	for key := range strings.SplitSeq(path, ".") {
		object, ok := value.(map[string]any)
		if !ok {
			return nil
		}
		value = object[key]
	}
	return value
}

func (r *configReader) text(path string) string {
	switch value := r.at(path).(type) {
	case nil:
		return ""
	case string:
		text, problem := substitute(value, r.vars)
		if problem != "" {
			r.doubt("%s %s", path, problem)
			return ""
		}
		return trimJS(text)
	}
	r.doubt("%s is not text", path)
	return ""
}

// texts are those of a list; what is no text in it is passed over.
func (r *configReader) texts(path string) (texts []string) {
	list, _ := r.at(path).([]any)
	for _, value := range list {
		if text, ok := value.(string); ok {
			text, _ = substitute(text, r.vars)
			texts = append(texts, trimJS(text))
		}
	}
	return texts
}

func (r *configReader) flag(path string) bool {
	switch value := r.at(path).(type) {
	case nil:
		return false
	case bool:
		return value
	}
	r.doubt("%s is neither true nor false", path)
	return false
}

func (r *configReader) port(path string) int {
	switch value := r.at(path).(type) {
	case nil:
		return 0
	case float64:
		if port := int(value); float64(port) == value && port >= 1 && port <= 65535 {
			return port
		}
	}
	r.doubt("%s is not a port", path)
	return 0
}

func (r *configReader) choice(path, value string, choices []string) {
	if value != "" && !slices.Contains(choices, value) {
		last := len(choices) - 1
		// Not the value: what was put there by mistake may be a secret.
		r.doubt("%s has to be %s or %s", path, strings.Join(choices[:last], ", "), choices[last])
	}
}

// reference is ${NAME} or its escape $${NAME}; only capitals are names.
var reference = pattern(`\$?\$\{[A-Z_][A-Z0-9_]*\}`)

// maxExpanded in bytes bounds a value with its variables in it: no variable can be
// larger in a process's environment (MAX_ARG_STRLEN), and twenty that name each
// other twice would otherwise be a million.
const maxExpanded = 128 << 10

// substitute replaces every ${NAME} in a configuration string. $${NAME} means
// the literal ${NAME}. Why that cannot be done is the problem, in a few words after
// the string's own name: the gateway then either refuses the file (2026.2.26) or
// keeps the text (2026.5.28).
func substitute(text string, vars variables) (result, problem string) {
	var out strings.Builder
	var missing []string
	end := 0
	for _, at := range reference().FindAllStringIndex(text, -1) {
		match := text[at[0]:at[1]]
		value := match[1:]
		if !strings.HasPrefix(match, "$$") {
			name := match[2 : len(match)-1]
			if value = vars.values[name]; value == "" {
				missing = append(missing, name)
			}
		}
		out.WriteString(text[end:at[0]])
		out.WriteString(value)
		end = at[1]
		if out.Len() > maxExpanded {
			return "", fmt.Sprintf("is longer than %d KiB once its variables are in it", maxExpanded>>10)
		}
	}
	if len(missing) > 0 {
		return "", "needs " + someOf(missing) + ", which is not set"
	}
	return out.String() + text[end:], ""
}

// someOf lists a few names.
func someOf(names []string) string {
	const most = 3
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "others")
	}
	return fmt.Sprintf("%.500s", strings.Join(names, " and "))
}

// hasReference tells whether a string holds a ${NAME} that is not escaped.
func hasReference(text string) bool {
	for _, match := range reference().FindAllString(text, -1) {
		if !strings.HasPrefix(match, "$$") {
			return true
		}
	}
	return false
}
