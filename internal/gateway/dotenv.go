package gateway

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path/filepath"
	"strings"
	"unicode/utf8"
)

// lineEndsJS are the line ends of JavaScript once \r is gone. The last two are white
// space as well, and a value without quotes runs on past them.
const lineEndsJS = "\n\u2028\u2029"

// parseDotenv reads a .env file as the gateway does, by the npm package dotenv 17.
// It cannot fail: a line that is no assignment is skipped. A later line for the same
// name wins. A Go library would not do: godotenv expands $NAME, which this one leaves
// alone, and refuses a whole file for a line that this one skips.
//
// White space takes in line ends: a name, its "=" and a value in quotes may each
// stand on a line of their own.
//
// Known differences, which no usable token meets: invalid UTF-8 may become fewer
// U+FFFD, and where a value without closed quotes holds U+2028 or U+2029, npm's dotenv
// also drops quotes next to those.
func parseDotenv(data []byte) map[string]string {
	values := make(map[string]string)
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.ToValidUTF8(string(data), "\ufffd"))
	for rest := trimLeftJS(text); rest != ""; rest = trimLeftJS(rest) {
		if name, after, ok := cutAssignment(rest); ok {
			values[name], rest = cutValue(after)
		}
		rest = skipLine(rest)
	}
	return values
}

func trimLeftJS(text string) string { return strings.TrimLeftFunc(text, isSpaceJS) }

// skipLine returns what follows the line, its line end included.
func skipLine(text string) string {
	if end := strings.IndexAny(text, lineEndsJS); end >= 0 {
		return text[end:]
	}
	return ""
}

// cutAssignment reads the start of an assignment, with or without "export" before
// it, and returns the name and what follows the separator. A variable may itself
// have the name "export".
func cutAssignment(text string) (name, rest string, ok bool) {
	if name, rest, ok = cutName(text); ok {
		return name, rest, true
	}
	after, exported := strings.CutPrefix(text, "export")
	declared := trimLeftJS(after)
	if !exported || declared == after {
		return "", "", false
	}
	return cutName(declared)
}

// cutName reads "NAME=", "NAME =" or "NAME: "; a colon wants the white space behind
// it and none before.
func cutName(text string) (name, rest string, ok bool) {
	rest = strings.TrimLeftFunc(text, isDotenvName)
	name = text[:len(text)-len(rest)]
	if name == "" {
		return "", "", false
	}
	if after, equals := strings.CutPrefix(trimLeftJS(rest), "="); equals {
		return name, after, true
	}
	if after, colon := strings.CutPrefix(rest, ":"); colon {
		blank, size := utf8.DecodeRuneInString(after)
		return name, after[size:], isSpaceJS(blank)
	}
	return "", "", false
}

func isDotenvName(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '.' || r == '-'
}

// cutValue reads the value behind a separator: in quotes if they close properly,
// else up to a # or the end of the line. Only after a double quote, be it closed or
// not, \n and \r mean line ends; no other escape is resolved.
func cutValue(text string) (value, rest string) {
	value, rest, ok := cutQuoted(trimLeftJS(text))
	if !ok {
		end := strings.IndexAny(text, "#\n")
		if end < 0 {
			end = len(text)
		}
		value, rest = trimJS(text[:end]), text[end:]
	}
	if strings.HasPrefix(value, `"`) {
		value = strings.NewReplacer(`\n`, "\n", `\r`, "\r").Replace(value)
	}
	if last := len(value) - 1; last > 0 && isQuote(value[0]) && value[last] == value[0] {
		value = value[1:last]
	}
	return value, rest
}

// cutQuoted reads a value in quotes, which it keeps. The value ends at the first
// quote of its kind without a backslash before it; should text follow that one, the
// last quote with a backslash that nothing follows will do.
func cutQuoted(text string) (value, rest string, ok bool) {
	if text == "" || !isQuote(text[0]) {
		return "", "", false
	}
	end := 0
	for i := 1; i < len(text); i++ {
		if text[i] != text[0] {
			continue
		}
		if endsValue(text[i+1:]) {
			end = i + 1
		}
		if text[i-1] != '\\' {
			break
		}
	}
	return text[:end], text[end:], end > 0
}

func isQuote(c byte) bool { return c == '\'' || c == '"' || c == '`' }

// endsValue tells whether the line holds nothing more, or only a comment.
func endsValue(text string) bool {
	rest := trimLeftJS(text)
	return rest == "" || rest[0] == '#' || strings.ContainsAny(text[:len(text)-len(rest)], lineEndsJS)
}

// envFile is one of node's --env-file, or of its --env-file-if-exists.
type envFile struct {
	path     string
	optional bool
}

// plainLine is a line of such a file that means the same to everybody. Node's own reader
// (asked of 24) and npm's dotenv differ in the others: in other spaces, escapes, quotes
// within quotes and values of several lines.
var plainLine = pattern(`^[ \t]*(?:(?:export[ \t]+)?([\w.-]+)[ \t]*=[ \t]*(?:"([^"\\\r]*)"|'([^'\\\r]*)'|([^"'\x60#\s][^#\r]*?)?)[ \t]*)?(?:#.*)?$`)

// trickyLine is one of those that node alone reads in its way (24): blanks and no value, of
// which it takes the next line for one; and export before no value, or before a tab.
var trickyLine = pattern(`^[ \t]*(?:export\t|export +[\w.-]+[ \t]*=[ \t]*(?:#.*)?$|[\w.-]+[ \t]*=[ \t]+$)`)

// withEnvFiles adds the variables that node takes from files, below those that are set.
// Of a file that cannot be read, or a line that is not plain, it says so.
func (env Environment) withEnvFiles(files []envFile) (_ Environment, doubts []string) {
	values := make(map[string]string)
	for _, file := range files {
		path := resolvePath(env.Dir, file.path)
		if env.AsRoot {
			doubts = append(doubts, path+" sets variables by node's --env-file, which is not read as root")
			continue
		}
		data, err := readRegular(path, maxDotenvBytes)
		if errors.Is(err, fs.ErrNotExist) && file.optional {
			continue
		}
		if err != nil {
			doubts = append(doubts, err.Error())
			continue
		}
		odd := 0
		for i, line := range strings.Split(string(data), "\n") {
			line = strings.TrimSuffix(line, "\r")
			parts := plainLine().FindStringSubmatch(line)
			switch {
			case parts == nil, trickyLine().MatchString(line):
				odd = cmp.Or(odd, i+1)
			case parts[1] != "":
				values[parts[1]] = parts[2] + parts[3] + parts[4]
			}
		}
		if odd > 0 {
			doubts = append(doubts, fmt.Sprintf("%s, line %d: only node can tell what it sets", path, odd))
		}
	}
	maps.Copy(values, env.Vars)
	env.Vars = values
	return env, doubts
}

var portableName = pattern(`^[A-Za-z_][A-Za-z0-9_]*$`)

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
			if vars.has(name) || !portableName().MatchString(name) || !trusted && strings.HasPrefix(strings.ToUpper(name), "OPENCLAW_") {
				continue
			}
			vars.set(name, value, Source{SourceDotenv, path})
			if selectsTarget[name] {
				doubts = append(doubts, path+" sets "+name+", which may move the state directory")
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

// extraDotenvFiles: the configuration's directory from 2026.7.33 where it is another
// one, and gateway.env, written for services, while the state directory is the usual.
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
