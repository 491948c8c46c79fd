package gateway

import (
	"path/filepath"
	"strings"
	"unicode"
)

func isSpaceJS(r rune) bool {
	return r == '\ufeff' || r != '\u0085' && unicode.IsSpace(r)
}

// homeDir is the gateway's idea of home: OPENCLAW_HOME (which may start with ~),
// HOME, USERPROFILE, the user database, and at last the working directory.
func homeDir(env Environment, release Release) string {
	explicit := homeValue(env.Vars["OPENCLAW_HOME"], release)
	system := systemHome(env, release)
	if explicit == "" {
		return resolvePath(env.Dir, system)
	}
	rest, tilde := cutTilde(explicit)
	if !tilde {
		return resolvePath(env.Dir, explicit)
	}
	if system == "" {
		return resolvePath(env.Dir, "")
	}
	return resolvePath(env.Dir, system+rest)
}

func systemHome(env Environment, release Release) string {
	for _, name := range []string{"HOME", "USERPROFILE"} {
		if home := homeValue(env.Vars[name], release); home != "" {
			return home
		}
	}
	return homeValue(env.Home, release)
}

// homeValue drops the words that careless scripts leave behind: from 2026.5.28
// the gateway ignores a home that is literally "undefined" or "null".
func homeValue(value string, release Release) string {
	value = trimJS(value)
	if release.since(2026, 5, 28) && (value == "undefined" || value == "null") {
		return ""
	}
	return value
}

// expandPath makes a path from the environment absolute: ~ and ~/x are home.
func expandPath(path string, env Environment, release Release) string {
	path = trimJS(path)
	if path == "" {
		return ""
	}
	if rest, ok := cutTilde(path); ok {
		path = homeDir(env, release) + rest
	}
	return resolvePath(env.Dir, path)
}

// cutTilde splits "~/x" into "/x". "~name" is no home: the gateway takes it for
// an ordinary file name.
func cutTilde(path string) (string, bool) {
	rest, ok := strings.CutPrefix(path, "~")
	return rest, ok && (rest == "" || rest[0] == '/' || rest[0] == '\\')
}

// resolvePath is Node's path.resolve against a working directory.
func resolvePath(dir, path string) string {
	if filepath.IsAbs(path) {
		return filepath.Clean(path)
	}
	return filepath.Join(dir, path)
}
