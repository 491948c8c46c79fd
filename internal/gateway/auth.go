package gateway

import (
	"errors"
	"io/fs"
	"strings"
)

// AuthMode is how a gateway checks who connects.
type AuthMode string

const (
	AuthUnknown      AuthMode = "unknown"
	AuthToken        AuthMode = "token"
	AuthPassword     AuthMode = "password"
	AuthNone         AuthMode = "none"
	AuthTrustedProxy AuthMode = "trusted-proxy"
)

// Auth is the shared secret that the gateway will ask for.
type Auth struct {
	Mode   AuthMode
	Secret Secret // the token or password of Mode (of AuthUnknown: a token, perhaps)
	Source Source // where Secret was found

	// Disagree names other places that hold another value for Secret. The gateway
	// ignores them, but clients read the environment first and then fail.
	Disagree []Source

	// InDoubt says why the secret or mode is uncertain. "" means no doubt.
	InDoubt string
}

// candidate is one place's offer of a secret.
type candidate struct {
	secret Secret
	source Source
}

// resolveAuth decides as the gateway does: arguments, configuration, environment
// (into which .env files and the env section were loaded), for token and password
// each. Configuration beats environment, and the process environment beats .env
// files, which beat the env section (measured on 2026.5.28 and 2026.9.6). A mode
// that is not set follows from what there is, a password before a token: with
// OPENCLAW_GATEWAY_PASSWORD set, even --token is not asked for (measured as well).
func resolveAuth(command Command, config Config, vars variables) Auth {
	tokens := candidates(
		candidate{command.Token, Source{SourceArgv, "--token"}},
		candidate{config.Token.Secret, config.Token.Source}, vars, "OPENCLAW_GATEWAY_TOKEN")
	password, passwordDoubt := argvPassword(command)
	passwords := candidates(password,
		candidate{config.Password.Secret, config.Password.Source}, vars, "OPENCLAW_GATEWAY_PASSWORD")
	auth := Auth{Mode: authMode(command, config, len(passwords) > 0 || config.Password.Set)}
	var doubts []string
	switch auth.Mode {
	case AuthUnknown:
		auth.choose(tokens) // the best guess; InDoubt says that it is one
	case AuthToken:
		auth.choose(tokens)
		if len(tokens) == 0 && config.RemoteToken {
			// 2026.9.6 falls back to it on loopback and refuses to listen elsewhere.
			doubts = append(doubts, "only gateway.remote.token is set, which some releases fall back to")
		}
		if config.RemotePassword && command.AuthMode == "" && config.AuthMode == "" {
			doubts = append(doubts, "gateway.remote.password is set and no mode, which some releases take for mode password")
		}
		doubts = append(doubts, config.Token.doubts(command.Token.IsSet(), vars.trimmed("OPENCLAW_GATEWAY_TOKEN"))...)
	case AuthPassword:
		auth.choose(passwords)
		if len(passwords) == 0 && config.RemotePassword {
			doubts = append(doubts, "only gateway.remote.password is set, which some releases fall back to")
		}
		doubts = append(doubts, passwordDoubt...)
		doubts = append(doubts, config.Password.doubts(command.Password.IsSet(), vars.trimmed("OPENCLAW_GATEWAY_PASSWORD"))...)
	}
	if config.Token.Set && config.Password.Set && config.AuthMode == "" {
		doubts = append(doubts, "gateway.auth has token and password but no mode, which the gateway refuses")
	}
	if !auth.Secret.IsSet() && (config.ShellEnv || isTruthy(vars.values["OPENCLAW_LOAD_SHELL_ENV"])) {
		doubts = append(doubts, "the gateway also asks a login shell for variables")
	}
	if config.InDoubt != "" && auth.Source.Kind != SourceArgv {
		doubts = append(doubts, config.InDoubt)
	}
	auth.InDoubt = strings.Join(doubts, "; ")
	return auth
}

func authMode(command Command, config Config, hasPassword bool) AuthMode {
	switch {
	case command.AuthMode != "":
		return AuthMode(command.AuthMode)
	case config.InDoubt != "" && config.AuthMode == "":
		return AuthUnknown
	case config.AuthMode != "":
		return AuthMode(config.AuthMode)
	case hasPassword:
		return AuthPassword
	}
	return AuthToken
}

// candidates lists what is set, in order of precedence.
func candidates(argv, config candidate, vars variables, name string) []candidate {
	var found []candidate
	for _, c := range []candidate{argv, config, {NewSecret(vars.trimmed(name)), vars.sources[name]}} {
		if c.secret.IsSet() {
			found = append(found, c)
		}
	}
	return found
}

func (a *Auth) choose(from []candidate) {
	if len(from) == 0 {
		return
	}
	a.Secret, a.Source = from[0].secret, from[0].source
	for _, other := range from[1:] {
		if other.secret != a.Secret {
			a.Disagree = append(a.Disagree, other.source)
		}
	}
}

// doubts of a configured secret count unless an argument overrides it. A reference
// beside a different variable is one too: 2026.5.28 takes the variable, 2026.9.6
// the reference (measured).
func (s SecretInput) doubts(overridden bool, variable string) []string {
	switch {
	case overridden || !s.Set:
		return nil
	case s.InDoubt != "":
		return []string{s.InDoubt}
	case s.ByRef && variable != "" && variable != s.Secret.Reveal():
		return []string{"a secret reference and a variable disagree, and releases differ on which counts"}
	}
	return nil
}

// argvPassword is --password or what --password-file holds.
func argvPassword(command Command) (candidate, []string) {
	switch {
	case command.Password.IsSet():
		return candidate{command.Password, Source{SourceArgv, "--password"}}, nil
	case command.PasswordFile == "":
		return candidate{}, nil
	}
	data, err := readRegular(command.PasswordFile, maxSecretBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return candidate{}, []string{"--password-file " + command.PasswordFile + " is not there"}
	}
	if err != nil {
		return candidate{}, []string{err.Error()}
	}
	return candidate{NewSecret(trimJS(string(data))), Source{SourceFile, command.PasswordFile}}, nil
}

func isTruthy(value string) bool {
	switch strings.ToLower(trimJS(value)) {
	case "1", "true", "yes", "on":
		return true
	}
	return false
}
