package gateway

import (
	"cmp"
	"os"
	"path/filepath"
	"strings"
)

const (
	stateDirName = ".openclaw"
	configName   = "openclaw.json"
)

// StateDir is the directory in which the gateway keeps its state: OPENCLAW_STATE_DIR
// (trimmed, ~ is home, made absolute), else the profile's directory in home, else
// .openclaw in home, or a directory of an older name that exists while that one does
// not. Creating ~/.openclaw would hide such an older directory: never do it unasked.
//
// OPENCLAW_PROFILE in the environment moves nothing, only --profile does (measured
// on 2026.5.28 and 2026.9.6).
func StateDir(env Environment, profile string, release Release) string {
	return stateDir(withProfile(env, profile, release), release)
}

func stateDir(env Environment, release Release) string {
	if override := firstPath(env, release, "OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR"); override != "" {
		return override
	}
	home := homeDir(env, release)
	current := filepath.Join(home, stateDirName)
	if exists(current) {
		return current
	}
	for _, name := range legacyStateDirs(release) {
		if dir := filepath.Join(home, name); exists(dir) {
			return dir
		}
	}
	return current
}

// legacyStateDirs lists the directories of the project's earlier names, in the order
// in which the release looks for them.
func legacyStateDirs(release Release) []string {
	switch {
	case release.since(2026, 3, 31):
		return []string{".clawdbot"}
	case release.since(2026, 3, 22):
		return []string{".clawdbot", ".moldbot"}
	case release.since(2026, 2, 9):
		return []string{".clawdbot", ".moldbot", ".moltbot"}
	}
	return []string{".clawdbot", ".moltbot", ".moldbot"}
}

// ConfigPath is the configuration file the gateway reads, whether it exists or
// not.
func ConfigPath(env Environment, profile string, release Release) string {
	env = withProfile(env, profile, release)
	if path := firstPath(env, release, "OPENCLAW_CONFIG_PATH", "CLAWDBOT_CONFIG_PATH"); path != "" {
		return path
	}
	state := stateDir(env, release)
	for _, name := range append([]string{configName}, legacyConfigNames(release)...) {
		if path := filepath.Join(state, name); exists(path) {
			return path
		}
	}
	return filepath.Join(state, configName)
}

// configDir is what the gateway calls CONFIG_DIR (2026.9.6): not always where its state
// is, nor its configuration.
func configDir(env Environment, release Release) string {
	if dir := firstPath(env, release, "OPENCLAW_STATE_DIR", "CLAWDBOT_STATE_DIR"); dir != "" {
		return dir
	}
	if path := expandPath(env.Vars["OPENCLAW_CONFIG_PATH"], env, release); path != "" {
		return filepath.Dir(path)
	}
	return filepath.Join(homeDir(env, release), stateDirName)
}

func legacyConfigNames(release Release) []string {
	if release.since(2026, 3, 22) {
		return []string{"clawdbot.json"}
	}
	return []string{"clawdbot.json", "moldbot.json", "moltbot.json"}
}

// firstPath is the first variable that is set, made absolute. The CLAWDBOT_ names
// count up to 2026.3.13 and are ignored from 2026.3.22.
func firstPath(env Environment, release Release, name, legacy string) string {
	if value := env.trimmed(name); value != "" {
		return expandPath(value, env, release)
	}
	if release.since(2026, 3, 22) {
		return ""
	}
	return expandPath(env.Vars[legacy], env, release)
}

// withProfile sets what the command line sets for --profile before it loads
// anything: state directory, configuration path, and port 19001 for "dev".
func withProfile(env Environment, profile string, release Release) Environment {
	if profile == "" {
		return env
	}
	dir := env.trimmed("OPENCLAW_STATE_DIR")
	config := env.trimmed("OPENCLAW_CONFIG_PATH")
	inherited, selected := profileDir(env, env.trimmed("OPENCLAW_PROFILE"), release), profileDir(env, profile, release)
	if release.since(2026, 8, 1) && inherited != selected {
		// A directory that only repeats the inherited profile's gives way to the new
		// profile's, and so does its configuration (found in 2026.8.2, not in 2026.7.35).
		repeatsDir := dir != "" && expandPath(dir, env, release) == inherited
		if (dir == "" || repeatsDir) && config != "" && expandPath(config, env, release) == filepath.Join(inherited, configName) {
			config = ""
		}
		if repeatsDir {
			dir = ""
		}
	}
	dir = cmp.Or(dir, selected)
	config = cmp.Or(config, filepath.Join(dir, configName))
	env = env.with("OPENCLAW_PROFILE", profile).with("OPENCLAW_STATE_DIR", dir).with("OPENCLAW_CONFIG_PATH", config)
	if profile == "dev" && env.trimmed("OPENCLAW_GATEWAY_PORT") == "" {
		env = env.with("OPENCLAW_GATEWAY_PORT", "19001")
	}
	return env
}

func profileDir(env Environment, profile string, release Release) string {
	name := stateDirName
	if profile != "" && !strings.EqualFold(profile, "default") {
		name += "-" + profile
	}
	return filepath.Join(homeDir(env, release), name)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
