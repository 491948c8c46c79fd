package gateway

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestWhatStartsAGatewayIsUnderstood(t *testing.T) {
	env := testEnvironment(t)
	dir := installPackage(t, env, "2026.9.6")
	for _, argv := range []string{
		"openclaw gateway",
		"openclaw gateway run",
		"openclaw gateway --port 1234 run --bind lan",
		"openclaw --profile x gateway",
		"openclaw --no-color --log-level debug gateway --force",
		"openclaw gateway --token run",
		dir + "/openclaw.mjs gateway",
		"node " + dir + "/openclaw.mjs gateway",
		"node --max-old-space-size=512 -r ./x.js --import y " + dir + "/dist/index.js gateway --allow-unconfigured",
		"node -- " + dir + "/dist/index gateway",
		"node " + dir + " gateway",
		"node ../lib/node_modules/openclaw/dist/index.js gateway",
		"node openclaw.mjs gateway",
	} {
		if command := ParseCommand(strings.Fields(argv), env); !command.Understood {
			t.Errorf("%q is not understood", argv)
		}
	}
}

func TestWhatStartsNoGatewayIsNotUnderstood(t *testing.T) {
	env := testEnvironment(t)
	dir := installPackage(t, env, "2026.9.6")
	for _, argv := range [][]string{
		nil, {""}, {"openclaw"}, {"openclaw", "devices", "list"}, {"openclaw", "gateway", "status"},
		{"openclaw", "gateway", "--port", "1", "stop"}, {"openclaw", "gateway", "call", "health"},
		{"openclaw", "gateway", "run", "x"}, {"openclaw", "gateway", "--help"}, {"openclaw", "--version", "gateway"},
		{"openclaw", "--container", "c", "gateway"}, {"sh", "-c", "openclaw gateway"}, {"bash"},
		{"npx", "openclaw", "gateway"}, {"tini", "--", "openclaw", "gateway"}, {"node", "-e", "1", "gateway"},
		{"node", "server.js", "gateway"}, {"node"}, {"node", "--"}, {"node", dir + "/dist/other.js", "gateway"},
		{"openclaw", "--", "devices"}, {"openclaw", "gateway", "--unknown", "value"},
	} {
		if command := ParseCommand(argv, env); command.Understood || len(command.Problems) > 0 {
			t.Errorf("%q is understood, or has problems: %+v", argv, command)
		}
	}
}

func TestFlagsAreReadInBothForms(t *testing.T) {
	env := testEnvironment(t)
	installPackage(t, env, "2026.9.6")
	for _, argv := range []string{
		"openclaw --profile p gateway --port 1234 --bind lan --auth token --token s3 --password pw --tailscale off --dev",
		"openclaw --profile=p gateway --port=1234 --bind=lan --auth=token --token=s3 --password=pw --tailscale=off --dev",
		"openclaw gateway --port 99 --bind=lan --auth token --dev run --profile p --port=1234 --token s3 --password pw --tailscale off",
	} {
		c := ParseCommand(strings.Fields(argv), env)
		got := []any{c.Profile, c.Port, c.Bind, c.AuthMode, c.Token.Reveal(), c.Password.Reveal(), c.Tailscale, c.Dev, len(c.Problems)}
		want := []any{"p", 1234, "lan", "token", "s3", "pw", "off", true, 0}
		if !slices.Equal(got, want) {
			t.Errorf("%q gives %v, want %v", argv, got, want)
		}
	}
}

func TestDevBeforeTheSubcommandIsAProfileAndBehindItIsNot(t *testing.T) {
	env := testEnvironment(t)
	before := ParseCommand([]string{"openclaw", "--dev", "gateway"}, env)
	behind := ParseCommand([]string{"openclaw", "gateway", "--dev"}, env)
	if before.Profile != "dev" || before.Dev || behind.Profile != "" || !behind.Dev {
		t.Errorf("before: %+v, behind: %+v", before, behind)
	}
}

func TestMalformedValuesAreReportedNotGuessed(t *testing.T) {
	env := testEnvironment(t)
	for argv, want := range map[string]string{
		"openclaw gateway --port abc":          `--port "abc" is not a port`,
		"openclaw gateway --port=":             `--port "" is not a port`,
		"openclaw gateway --port 70000":        `--port "70000" is not a port`,
		"openclaw gateway --port 12x":          `--port "12x" is not a port`,
		"openclaw gateway --bind wan":          `--bind "wan" is none of loopback, lan, tailnet, auto, custom`,
		"openclaw gateway --auth magic":        `--auth "magic" is none of none, token, password, trusted-proxy`,
		"openclaw --profile a/b gateway":       `--profile "a/b" is not a profile name`,
		"openclaw gateway --token":             `--token has no value`,
		"openclaw --profile x --dev gateway":   `--dev and --profile exclude each other`,
		"openclaw gateway --tailscale perhaps": `--tailscale "perhaps" is none of off, serve, funnel`,
	} {
		c := ParseCommand(strings.Fields(argv), env)
		if !c.Understood || len(c.Problems) != 1 || c.Problems[0] != want {
			t.Errorf("%q: understood %v, problems %q", argv, c.Understood, c.Problems)
		}
		if c.Port != 0 || c.Bind != "" || c.AuthMode != "" {
			t.Errorf("%q: a value is guessed: %+v", argv, c)
		}
	}
}

func TestExecutablesAreFoundAsAShellFindsThem(t *testing.T) {
	env := testEnvironment(t)
	bin := env.Vars["PATH"]
	other := filepath.Join(filepath.Dir(bin), "other")
	writeFile(t, filepath.Join(bin, "plain"), "")
	writeFile(t, filepath.Join(other, "tool"), "")
	writeFile(t, filepath.Join(bin, "tool"), "")
	if err := os.Chmod(filepath.Join(other, "tool"), 0o755); err != nil {
		t.Fatal(err)
	}
	env.Vars["PATH"] = bin + ":" + other
	for _, c := range []struct{ name, path string }{
		{"tool", filepath.Join(other, "tool")},
		{"plain", ""},
		{"absent", ""},
		{"../other/tool", filepath.Join(other, "tool")},
		{"../other", ""},
		{"./absent", ""},
		{"", ""},
	} {
		if path := findExecutable(c.name, env); path != c.path {
			t.Errorf("%q: %q, want %q", c.name, path, c.path)
		}
	}
}

func TestThePackageIsFoundThroughLinksAndShims(t *testing.T) {
	env := testEnvironment(t)
	dir := installPackage(t, env, "2026.9.6")
	shim := filepath.Join(filepath.Dir(dir), ".bin/openclaw")
	writeFile(t, shim, "#!/bin/sh\n")
	foreign := filepath.Join(dir, "node_modules/other/index.js")
	writeFile(t, foreign, "")
	writeFile(t, filepath.Join(filepath.Dir(foreign), "package.json"), `{"name":"other"}`)
	for file, want := range map[string]string{
		filepath.Join(env.Vars["PATH"], "openclaw"): dir,
		filepath.Join(dir, "dist/index.js"):         dir,
		shim:                                        dir,
		foreign:                                     "",
		"/nowhere/at/all":                           "",
	} {
		if got := findPackage(file); got != want {
			t.Errorf("%s belongs to %q, want %q", file, got, want)
		}
	}
}

func TestACommandPrintsNoSecret(t *testing.T) {
	c := ParseCommand([]string{"openclaw", "gateway", "--port", "x", "--bind", "y"}, testEnvironment(t))
	c.Token = NewSecret("sesame")
	text, err := c.Token.MarshalText()
	if err != nil || strings.Contains(string(text)+c.Token.String()+c.Token.GoString(), "sesame") {
		t.Errorf("%s %v", text, err)
	}
}

func FuzzParseCommand(f *testing.F) {
	for _, argv := range []string{"openclaw\x00gateway\x00--port=1", "node\x00--\x00openclaw.mjs\x00gateway", "openclaw\x00--profile", "node\x00-r", "openclaw\x00--\x00gateway\x00run", ""} {
		f.Add(argv)
	}
	env := Environment{Vars: map[string]string{"PATH": "/nonexistent"}, Dir: "/nonexistent"}
	f.Fuzz(func(t *testing.T, text string) {
		command := ParseCommand(strings.Split(text, "\x00"), env)
		if command.Port < 0 || command.Port > 65535 || !command.Understood && len(command.Problems) > 0 {
			t.Errorf("%+v", command)
		}
	})
}
