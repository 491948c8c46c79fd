package gateway

import (
	"errors"
	"io/fs"
	"path/filepath"
	"regexp"
	"strings"
)

// dotenvLine is the expression of the npm package dotenv 17, which the gateway
// uses, in Go's syntax: \s and . mean there what they mean in JavaScript. A Go
// library would not do: godotenv expands $NAME, which this one leaves alone, and
// refuses a whole file for a line that this one skips.
var dotenvLine = func() *regexp.Regexp {
	expression := `(?m:^)S*(?:export\s+)?([\w.-]+)(?:S*=S*?|:S+?)(S*'(?:\\'|[^'])*'|S*"(?:\\"|[^"])*"|S*` + "`(?:\\\\`|[^`])*`" +
		`|[^#\r\n]+)?S*(?:#[^\n\x{2028}\x{2029}]*)?(?m:$)`
	space := `[\s\v\p{Z}\x{FEFF}]`
	return regexp.MustCompile(strings.NewReplacer("S", space, `\s`, space).Replace(expression))
}()

// parseDotenv reads a .env file as the gateway does. It cannot fail: what is no
// assignment is skipped. A later line for the same name wins.
func parseDotenv(data []byte) map[string]string {
	values := make(map[string]string)
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(string(data), "\ufffd"))
	for _, match := range dotenvLine.FindAllStringSubmatch(text, -1) {
		value := trimJS(match[2])
		double := strings.HasPrefix(value, `"`)
		value = unquoteDotenv(value)
		if double {
			value = strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(value)
		}
		values[match[1]] = value
	}
	return values
}

// unquoteDotenv removes one pair of equal quotes around the value. A quote that
// does not end the value ends a line inside it: dotenv cuts there too.
func unquoteDotenv(value string) string {
	if value == "" || !strings.ContainsRune("'\"`", rune(value[0])) {
		return value
	}
	quote := value[0]
	for end := len(value) - 1; end > 0; end-- {
		if value[end] == quote && (end == len(value)-1 || value[end+1] == '\n') {
			return value[1:end] + value[end+1:]
		}
	}
	return value
}

var portableName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// loadDotenv adds the .env files that the gateway loads. A variable that exists
// already, even empty, keeps its value, so the first file wins. It returns what
// could not be read.
//
// From 2026.4.29 the file in the working directory may not set OPENCLAW_ variables
// (nor a list of provider keys, which matter to no token); before, it may.
func loadDotenv(vars variables, env Environment, release Release, state string) []string {
	var doubts []string
	load := func(path string, trusted bool) {
		data, err := readRegular(path, maxDotenvBytes)
		if errors.Is(err, fs.ErrNotExist) {
			return
		}
		if err != nil {
			doubts = append(doubts, err.Error())
			return
		}
		for name, value := range parseDotenv(data) {
			if vars.has(name) || !portableName.MatchString(name) || !trusted && strings.HasPrefix(strings.ToUpper(name), "OPENCLAW_") {
				continue
			}
			vars.set(name, value, Source{SourceDotenv, path})
			if selectsTarget[name] {
				doubts = append(doubts, path+" sets "+name+", which may move the state folder")
			}
		}
	}
	load(filepath.Join(env.Dir, ".env"), !release.since(2026, 4, 29))
	load(filepath.Join(state, ".env"), true)
	for _, path := range extraDotenvFiles(env, release, state) {
		load(path, true)
	}
	return doubts
}

// extraDotenvFiles: the configuration's folder from 2026.7.33 where it is another
// one, and gateway.env, written for services, while the state folder is the usual.
func extraDotenvFiles(env Environment, release Release, state string) []string {
	var files []string
	config := env.trimmed("OPENCLAW_CONFIG_PATH")
	if _, moved := env.Vars["OPENCLAW_STATE_DIR"]; release.since(2026, 7, 33) && !moved && config != "" {
		if dir := filepath.Dir(expandPath(config, env, release)); dir != state {
			files = append(files, filepath.Join(dir, ".env"))
		}
	}
	home := homeDir(env, release)
	_, named := env.Vars["OPENCLAW_STATE_DIR"]
	if release.since(2026, 4, 29) && (!named || state == filepath.Join(home, stateDirName)) {
		files = append(files, filepath.Join(home, ".config", "openclaw", "gateway.env"))
	}
	return files
}

// selectsTarget are the variables that, set from a file, make some releases look
// for their files anew. That is not followed, only reported.
var selectsTarget = map[string]bool{
	"OPENCLAW_STATE_DIR": true, "OPENCLAW_CONFIG_PATH": true, "OPENCLAW_HOME": true, "HOME": true,
}
