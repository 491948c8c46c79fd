package gateway

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// configure writes openclaw.json and other files of its directory and reads it.
func configure(t *testing.T, env Environment, version string, files map[string]string) (Config, variables) {
	t.Helper()
	dir := filepath.Join(env.Home, stateDirName)
	for name, text := range files {
		writeFile(t, filepath.Join(dir, name), text)
	}
	vars := newVariables(env.Vars)
	return readConfig(filepath.Join(dir, configName), env, release(t, version), vars), vars
}

func TestConfigGivesTheKeysThatMatter(t *testing.T) {
	env := testEnvironment(t).with("PORTAL", "100.1.2.3").with("TOK", "s3")
	config, _ := configure(t, env, "2026.9.6", map[string]string{configName: `{
		// kept short
		gateway: { mode: 'local', port: 1234, bind: 'custom', customBindHost: '${PORTAL}', unknown: [1],
			auth: { mode: 'token', token: 'a-${TOK}-$${TOK}' }, tls: { enabled: true }, tailscale: { mode: 'off' } },
		other: '${NOT_SET}',
	}`})
	if config.InDoubt != "" || config.Port != 1234 || config.Bind != "custom" || config.CustomBindHost != "100.1.2.3" || !config.TLS || config.Mode != "local" {
		t.Errorf("%+v", config)
	}
	if got := config.Token.Secret.Reveal(); got != "a-s3-${TOK}" {
		t.Errorf("token %q", got)
	}
}

func TestAnAbsentConfigIsNoDoubt(t *testing.T) {
	if config, _ := configure(t, testEnvironment(t), "2026.9.6", nil); config.InDoubt != "" {
		t.Errorf("%+v", config)
	}
}

func TestABrokenConfigIsToldFromADoubtfulOne(t *testing.T) {
	for text, want := range map[string]bool{"{\n gateway: {,}\n}": true, "{gateway:{port:'x'}}": false, "{}": false} {
		if config, _ := configure(t, testEnvironment(t), "2026.9.6", map[string]string{configName: text}); config.Broken != want {
			t.Errorf("%s: %+v", text, config)
		}
	}
}

func TestADoubtfulConfigSaysWhyAndWhere(t *testing.T) {
	for text, want := range map[string]string{
		"{\n gateway: {,}\n}":                      "line 2, column 12: not JSON5",
		"[]":                                       "not an object",
		"{gateway:{port:'x'}}":                     "gateway.port is not a port",
		"{gateway:{port:0.5}}":                     "gateway.port is not a port",
		"{gateway:{bind:'wan'}}":                   `gateway.bind has to be loopback, lan, tailnet, auto or custom`,
		"{gateway:{auth:{mode:'x'}}}":              `gateway.auth.mode has to be none, token, password or trusted-proxy`,
		"{gateway:{bind:'${NOPE}'}}":               "gateway.bind needs NOPE, which is not set",
		"{gateway:{tls:{enabled:'yes'}}}":          "gateway.tls.enabled is neither",
		"{$include:'absent.json'}":                 "absent.json: file does not exist",
		"{$include:'../secret.json'}":              "is outside the directory",
		"{$include:'/etc/hostname'}":               "is outside the directory",
		"{$include:'openclaw.json'}":               "includes itself",
		"{$include:5}":                             "neither a path nor a list",
		"{$include:[5]}":                           "holds something that is no path",
		"{$include:'list.json',a:1}":               "must give an object",
		"{$include:'broken.json'}":                 "broken.json: line 1, column 2: not JSON5",
		"{$include:'link.json'}":                   "leads outside the directory",
		"{$include:'twice.json'}":                  "several hard links",
		"{env:{vars:{OPENCLAW_STATE_DIR:'/x'}}}":   "may move the state directory",
		"{gateway:{$include:'loop-a.json'}}":       "includes itself",
		"{a:{b:[{$include:'still-absent.json'}]}}": "still-absent.json: file does not exist",
	} {
		env := testEnvironment(t)
		dir := filepath.Join(env.Home, stateDirName)
		writeFile(t, filepath.Join(env.Home, "secret.json"), "{}")
		writeFile(t, filepath.Join(dir, "one.json"), "{}")
		if err := os.Symlink("../secret.json", filepath.Join(dir, "link.json")); err != nil {
			t.Fatal(err)
		}
		if err := os.Link(filepath.Join(dir, "one.json"), filepath.Join(dir, "twice.json")); err != nil {
			t.Fatal(err)
		}
		config, _ := configure(t, env, "2026.9.6", map[string]string{
			configName: text, "list.json": "[]", "broken.json": "{,", "loop-a.json": "{$include:'loop-b.json'}", "loop-b.json": "{$include:'./loop-a.json'}",
		})
		if !strings.Contains(config.InDoubt, want) {
			t.Errorf("%s: %q, want %q in it", text, config.InDoubt, want)
		}
	}
}

func TestIncludesMergeInOrderAndKeysBesideThemWin(t *testing.T) {
	env := testEnvironment(t)
	config, _ := configure(t, env, "2026.9.6", map[string]string{
		configName:       `{$include:['a.json','sub/b.json5'], gateway:{mode:'local'}}`,
		"a.json":         `{"gateway":{"port":1,"bind":"lan","mode":"remote"}}`,
		"sub/b.json5":    `{gateway:{$include:'c.json'}}`,
		"sub/c.json":     `{"port":2,"auth":{"token":"t"}}`,
		"sub/unused.txt": ``,
	})
	if config.InDoubt != "" || config.Port != 2 || config.Bind != "lan" || config.Mode != "local" || config.Token.Secret.Reveal() != "t" || len(config.Files) != 3 {
		t.Errorf("%+v", config)
	}
}

func TestIncludesOfOtherFoldersNeedTheirRoot(t *testing.T) {
	env := testEnvironment(t)
	shared := filepath.Join(env.Home, "shared")
	writeFile(t, filepath.Join(shared, "x.json"), `{"gateway":{"port":7}}`)
	env = env.with("OPENCLAW_INCLUDE_ROOTS", "/nowhere:~/shared")
	files := map[string]string{configName: `{$include:'` + shared + `/x.json'}`}
	if config, _ := configure(t, env, "2026.9.6", files); config.Port != 7 || config.InDoubt != "" {
		t.Errorf("%+v", config)
	}
	if config, _ := configure(t, env, "2026.4.29", files); config.InDoubt == "" {
		t.Error("2026.4.29 does not know the variable")
	}
}

// 2026.9.6 takes them from the .env file of the state directory as well.
func TestIncludeRootsMayStandInTheDotenvFile(t *testing.T) {
	env := testEnvironment(t)
	shared := filepath.Join(env.Home, "shared")
	writeFile(t, filepath.Join(shared, "x.json"), `{"gateway":{"port":7}}`)
	writeFile(t, filepath.Join(env.Home, stateDirName, ".env"), "OPENCLAW_INCLUDE_ROOTS="+shared)
	writeFile(t, filepath.Join(env.Home, stateDirName, configName), `{$include:'`+shared+`/x.json'}`)
	if in := inspect(t, "openclaw gateway", env); in.Config.Port != 7 || len(in.InDoubt) > 0 {
		t.Errorf("%+v", in)
	}
}

// 2026.9.6 repairs these at its start ("host aliases are legacy").
func TestAnOldNameOfABindIsTheNewOne(t *testing.T) {
	for old, want := range map[string]string{
		"0.0.0.0": "lan", "::": "lan", "[::]": "lan", "*": "lan",
		"127.0.0.1": "loopback", "LocalHost": "loopback", "::1": "loopback", "[::1]": "loopback",
	} {
		config, _ := configure(t, testEnvironment(t), "2026.9.6", map[string]string{configName: "{gateway:{bind:'" + old + "'}}"})
		if config.Bind != want || config.InDoubt != "" {
			t.Errorf("%s is %q, %s", old, config.Bind, config.InDoubt)
		}
	}
}

func TestIncludeDepthAndNumberAreBounded(t *testing.T) {
	chain := map[string]string{configName: "{$include:'1.json'}"}
	names := []string{"1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11"}
	for i, name := range names[:10] {
		chain[name+".json"] = "{$include:'" + names[i+1] + ".json'}"
	}
	chain["11.json"] = "{}"
	if config, _ := configure(t, testEnvironment(t), "2026.9.6", chain); !strings.Contains(config.InDoubt, "more than 10 deep") {
		t.Errorf("%q", config.InDoubt)
	}
	bomb := map[string]string{configName: "{$include:['1.json','1.json','1.json']}"}
	for i, name := range names[:9] {
		next := names[i+1] + ".json"
		bomb[name+".json"] = "{$include:['" + next + "','" + next + "','" + next + "']}"
	}
	bomb["10.json"] = "{}"
	if config, _ := configure(t, testEnvironment(t), "2026.9.6", bomb); !strings.Contains(config.InDoubt, "files are included") {
		t.Errorf("%q", config.InDoubt)
	}
}

func TestTheEnvSectionFillsGaps(t *testing.T) {
	env := testEnvironment(t).with("TAKEN", "process").with("EMPTY", " ")
	config, vars := configure(t, env, "2026.9.6", map[string]string{configName: `{
		env: { vars: { TAKEN: 'file', EMPTY: 'file', A: 'a' }, B: '${A}b', C: '${NOPE}', shellEnv: {enabled: true}, 'bad name': 'x' } }`})
	wantVariables(t, vars, map[string]string{"TAKEN": "process", "EMPTY": "file", "A": "a", "B": "ab", "C": "", "bad name": ""})
	if !config.ShellEnv || vars.sources["A"].Kind != SourceConfigEnv {
		t.Errorf("%+v", config)
	}
}

func TestSecretReferencesAreResolvedOrDoubted(t *testing.T) {
	env := testEnvironment(t).with("TOK", " s3 ")
	writeFile(t, env.Home+"/one.txt", "s4\n")
	writeFile(t, env.Home+"/many.json", `{"gw":{"a/b":"s5"}}`)
	providers := `secrets:{providers:{one:{source:'file',path:'~/one.txt',mode:'singleValue'},many:{source:'file',path:'~/many.json'},only:{source:'env',allowlist:['OTHER']}}}`
	for _, c := range []struct{ token, secret, doubt string }{
		{`{source:'env',provider:'default',id:'TOK'}`, "s3", ""},
		{`{source:'env',id:'TOK'}`, "s3", ""},
		{`{source:'env',id:'NOPE'}`, "", "not set"},
		{`{source:'env',provider:'else',id:'TOK'}`, "", "not configured"},
		{`{source:'env',provider:'only',id:'TOK'}`, "", "does not allow"},
		{`{source:'file',provider:'one',id:'value'}`, "s4", ""},
		{`{source:'file',provider:'one',id:'x'}`, "", "one value"},
		{`{source:'file',provider:'many',id:'/gw/a~1b'}`, "s5", ""},
		{`{source:'file',provider:'many',id:'/gw'}`, "", "no text"},
		{`{source:'env',provider:'many',id:'TOK'}`, "", "another source"},
		{`{source:'exec',provider:'x',id:'y'}`, "", "only the gateway can ask"},
		{`'${TOK}'`, "s3", ""},
		{`'${NOPE}'`, "", "not set"},
		{`'$TOK'`, "", "short form"},
		{`17`, "", "neither text"},
		{`' '`, "", ""},
	} {
		config, _ := configure(t, env, "2026.9.6", map[string]string{configName: `{gateway:{auth:{token:` + c.token + `}},` + providers + `}`})
		got := config.Token
		if got.Secret.Reveal() != c.secret || (got.InDoubt == "") != (c.doubt == "") || !strings.Contains(got.InDoubt, c.doubt) {
			t.Errorf("%s: %q, %q", c.token, got.Secret.Reveal(), got.InDoubt)
		}
	}
}

func FuzzConfig(f *testing.F) {
	for _, text := range []string{`{gateway:{auth:{token:{source:'env',id:'A'}}}}`, `{$include:['a.json',5]}`, `{env:{A:'${B}',vars:{B:'$${C}'}}}`, `{$include:'openclaw.json'}`, `{gateway:[]}`} {
		f.Add(text, "{}")
	}
	f.Fuzz(func(t *testing.T, text, included string) {
		env := Environment{Vars: map[string]string{"A": "b"}, Dir: t.TempDir()}
		path := filepath.Join(env.Dir, configName)
		writeFile(t, path, text)
		writeFile(t, filepath.Join(env.Dir, "a.json"), included)
		readConfig(path, env, Release{}, newVariables(env.Vars))
	})
}
