package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestInspectFindsTheInstallation(t *testing.T) {
	env := testEnvironment(t)
	dir := installPackage(t, env, "2026.9.6")
	for _, argv := range []string{"openclaw gateway", "node " + dir + "/dist/index.js gateway", ""} {
		in := inspect(t, argv, env)
		if in.PackageDir != dir || in.Release.String() != "2026.9.6" || in.StateDir != env.Home+"/.openclaw" {
			t.Errorf("%q: %+v", argv, in)
		}
	}
}

func TestAWrapperIsNotGuessedAt(t *testing.T) {
	env := testEnvironment(t)
	installPackage(t, env, "2026.9.6")
	env.Container = true // where a gateway would need a token
	in := inspect(t, "sh start.sh gateway --port 5", env)
	if in.Command.Understood || in.Release.Known || in.Listen.Port != 18789 || in.NeedsToken() {
		t.Errorf("%+v", in)
	}
}

func TestOverridesCountBeforeAllElse(t *testing.T) {
	env := testEnvironment(t)
	dir := installPackage(t, env, "2026.9.6")
	in, err := Inspect(nil, env, Overrides{StateDir: "~/s", PackageDir: dir, URL: "wss://elsewhere:1"})
	if err != nil || in.StateDir != env.Home+"/s" || in.ConfigPath != env.Home+"/s/openclaw.json" || in.URL != "wss://elsewhere:1" {
		t.Errorf("%+v %v", in, err)
	}
	var refused *PackageError
	for _, wrong := range []string{env.Home, "/nonexistent"} {
		if _, err := Inspect(nil, env, Overrides{PackageDir: wrong}); !errors.As(err, &refused) {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestABrokenManifestIsNotFatal(t *testing.T) {
	env := testEnvironment(t)
	dir := installPackage(t, env, "main")
	if in := inspect(t, "openclaw gateway", env); in.PackageDir != dir || in.Release.Known || len(in.Problems) != 1 {
		t.Errorf("%+v", in)
	}
	writeFile(t, filepath.Join(dir, "package.json"), `{"name":"openclaw","version":"0.0.0"}`)
	if in := inspect(t, "openclaw gateway", env); in.Release.Known || len(in.Problems) != 0 {
		t.Errorf("%+v", in)
	}
}

// Seen with --bind lan: 2026.5.28 and 2026.9.6 refused (exit 78), 2026.2.26 wrote a
// token into its configuration. On loopback the first two made one for the run.
func TestATokenIsNeededOnlyWhereTheGatewayWouldRefuse(t *testing.T) {
	for _, c := range []struct {
		name, release, argv, config string
		vars                        map[string]string
		want                        bool
	}{
		{name: "lan without a token", argv: "--bind lan", want: true},
		{name: "lan on 2026.5.28", release: "2026.5.28", argv: "--bind lan", want: true},
		{name: "lan on 2026.2.26", release: "2026.2.26", argv: "--bind lan"},
		{name: "loopback", argv: "--bind loopback"},
		{name: "loopback on 2026.2.26", release: "2026.2.26", argv: "--bind loopback"},
		{name: "loopback on 2026.1.29, which never makes one", release: "2026.1.29", argv: "--bind loopback", want: true},
		{name: "with a token on 2026.1.29", release: "2026.1.29", argv: "--bind loopback --token x"},
		{name: "by default, in a container", want: true},
		{name: "with a token", argv: "--token x"},
		{name: "with a blank variable", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": " "}, want: true},
		{name: "with a password", vars: map[string]string{"OPENCLAW_GATEWAY_PASSWORD": "x"}},
		{name: "mode none, which a token does not help", argv: "--auth none"},
		{name: "in doubt about the token", config: "{gateway:{auth:{token:'${NOPE}'}}}"},
		{name: "in doubt about the configuration", config: "{"},
		{name: "in doubt about the mode", config: "{gateway:{auth:{mode:5}}}"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testEnvironment(t)
			env.Container = true
			for name, value := range c.vars {
				env.Vars[name] = value
			}
			version := "2026.9.6"
			if c.release != "" {
				version = c.release
			}
			installPackage(t, env, version)
			if c.config != "" {
				writeFile(t, filepath.Join(env.Home, stateDirName, configName), c.config)
			}
			if in := inspect(t, "openclaw gateway "+c.argv, env); in.NeedsToken() != c.want {
				t.Errorf("got %v: %+v", in.NeedsToken(), in)
			}
		})
	}
}

// Asked of Node 24: of several files the last one counts, the environment before all of
// them, and a file that is not there ends it, unless --env-file-if-exists names it.
func TestTheVariablesOfNodesEnvFilesCount(t *testing.T) {
	const both = "OPENCLAW_STATE_DIR=/file\nexport OPENCLAW_GATEWAY_TOKEN='t' # mine\n"
	for _, c := range []struct {
		flags, text string
		vars        map[string]string
		root        bool
		state       string
		token       string
		doubt       string
	}{
		{flags: "--env-file=x", text: both, state: "/file", token: "t"},
		{flags: "--env-file x", text: both, state: "/file", token: "t"},
		{flags: "--env-file-if-exists=x", text: both, state: "/file", token: "t"},
		{flags: "--env-file-if-exists x --env-file-if-exists=none", text: both, state: "/file", token: "t"},
		{flags: "--env-file=first --env-file x", text: both, state: "/file", token: "t"},
		{flags: "--env-file=x --env-file first", text: both, state: "/first", token: "t"},
		{flags: "--env-file=x", text: both, vars: map[string]string{"OPENCLAW_STATE_DIR": "/env"}, state: "/env", token: "t"},
		{flags: "--env-file=none", doubt: "no such file"},
		{flags: "--env-file=x", text: "OPENCLAW_STATE_DIR: /npm\nOPENCLAW_GATEWAY_TOKEN=t", token: "t", doubt: "line 1"},
		{flags: "--env-file=x", text: both, root: true, doubt: "as root"},
		{flags: "--env-file=x", text: "A= \nOPENCLAW_GATEWAY_TOKEN=t\n", token: "t", doubt: "line 1"},
		{flags: "--env-file=x", text: "OPENCLAW_GATEWAY_TOKEN=t\nexport A=\n", token: "t", doubt: "line 2"},
		{flags: "--env-file=x", text: "OPENCLAW_GATEWAY_TOKEN=t\nexport\tA=v\n", token: "t", doubt: "line 2"},
		{flags: "--env-file=x", text: "OPENCLAW_GATEWAY_TOKEN=t\nA=\nB= # none\n", token: "t"},
	} {
		env := testEnvironment(t)
		env.Container, env.AsRoot = true, c.root // where a gateway would need a token
		installPackage(t, env, "2026.9.6")
		for name, value := range c.vars {
			env.Vars[name] = value
		}
		writeFile(t, filepath.Join(env.Dir, "x"), c.text)
		writeFile(t, filepath.Join(env.Dir, "first"), "OPENCLAW_STATE_DIR=/first")
		in := inspect(t, "node "+c.flags+" openclaw.mjs gateway", env)
		if c.state == "" {
			c.state = filepath.Join(env.Home, stateDirName)
		}
		if in.StateDir != c.state || in.Auth.Secret.Reveal() != c.token || in.NeedsToken() {
			t.Errorf("%s, %q: state directory %s, token %q, needs one: %v", c.flags, c.text, in.StateDir, in.Auth.Secret.Reveal(), in.NeedsToken())
		}
		if got := strings.Join(in.InDoubt, "; "); (got == "") != (c.doubt == "") || !strings.Contains(got, c.doubt) {
			t.Errorf("%s, %q: doubt %q, want %q", c.flags, c.text, got, c.doubt)
		}
	}
}

// A volume often has two names.
func TestALinkToTheStateDirectoryMovesItNowhere(t *testing.T) {
	env := testEnvironment(t)
	state, volume := filepath.Join(env.Home, stateDirName), filepath.Join(env.Dir, "volume")
	writeFile(t, filepath.Join(volume, ".env"), "OPENCLAW_STATE_DIR="+volume+"\n")
	if err := os.Symlink(volume, state); err != nil {
		t.Fatal(err)
	}
	if in := inspect(t, "openclaw gateway", env); in.StateDir != state || in.MovedTo != "" {
		t.Errorf("state directory %s, moved to %q", in.StateDir, in.MovedTo)
	}
	writeFile(t, filepath.Join(volume, ".env"), "OPENCLAW_STATE_DIR=/elsewhere\n")
	if in := inspect(t, "openclaw gateway", env); in.MovedTo != "/elsewhere" {
		t.Errorf("moved to %q", in.MovedTo)
	}
}

func TestAnInstallationPrintsNoSecret(t *testing.T) {
	env := testEnvironment(t).with("OPENCLAW_GATEWAY_TOKEN", "sesame-env")
	writeFile(t, filepath.Join(env.Home, stateDirName, configName), "{gateway:{auth:{token:'sesame-cfg',password:'sesame-pw'}}}")
	in := inspect(t, "openclaw gateway --token sesame-arg --auth token", env)
	encoded, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(in), fmt.Sprintf("%+v", in), fmt.Sprintf("%#v", in), string(encoded)} {
		if strings.Contains(text, "sesame") {
			t.Errorf("a secret is printed: %s", text)
		}
	}
}

func TestTheCurrentEnvironmentIsComplete(t *testing.T) {
	env := CurrentEnvironment(map[string]string{"OPENCLAW_GATEWAY_PORT": "4321"})
	if env.Vars["OPENCLAW_GATEWAY_PORT"] != "4321" || !filepath.IsAbs(env.Dir) || env.Home == "" {
		t.Errorf("%q in %q at home in %q", env.Vars["OPENCLAW_GATEWAY_PORT"], env.Dir, env.Home)
	}
}
