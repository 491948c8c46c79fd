package gateway

import (
	"os"
	"path/filepath"
	"testing"
)

// The expectations for 2026.9.6 and 2026.5.28 agree with what `openclaw config
// file` of these releases printed for the same environments.
func TestStateDirIsTheGateways(t *testing.T) {
	for _, c := range []struct {
		name, release, profile string
		vars                   map[string]string // %H is the home, %D the working directory
		existing               []string          // below home
		want                   string
	}{
		{name: "nothing set", want: "%H/.openclaw"},
		{name: "a variable with white space and ~", vars: map[string]string{"OPENCLAW_STATE_DIR": " ~/s "}, want: "%H/s"},
		{name: "a relative variable", vars: map[string]string{"OPENCLAW_STATE_DIR": "s"}, want: "%D/s"},
		{name: "~name is no home", vars: map[string]string{"OPENCLAW_STATE_DIR": "~x"}, want: "%D/~x"},
		{name: "a blank variable", vars: map[string]string{"OPENCLAW_STATE_DIR": "  "}, want: "%H/.openclaw"},
		{name: "a profile", profile: "Foo", want: "%H/.openclaw-Foo"},
		{name: "the default profile", profile: "Default", want: "%H/.openclaw"},
		{name: "a profile and a variable", profile: "Foo", vars: map[string]string{"OPENCLAW_STATE_DIR": "/s"}, want: "/s"},
		{name: "a profile in the environment moves nothing", vars: map[string]string{"OPENCLAW_PROFILE": "foo"}, want: "%H/.openclaw"},
		{name: "OPENCLAW_HOME", vars: map[string]string{"OPENCLAW_HOME": "~/w"}, want: "%H/w/.openclaw"},
		{name: "home of the user database", vars: map[string]string{"HOME": ""}, want: "%H/.openclaw"},
		{name: "USERPROFILE", vars: map[string]string{"HOME": "", "USERPROFILE": "/u"}, want: "/u/.openclaw"},
		{name: "the word undefined is no home", vars: map[string]string{"HOME": "undefined"}, want: "%H/.openclaw"},
		{name: "it once was", release: "2026.2.26", vars: map[string]string{"HOME": "undefined"}, want: "%D/undefined/.openclaw"},
		{name: "an old directory", existing: []string{".clawdbot"}, want: "%H/.clawdbot"},
		{name: "an old directory beside the new one", existing: []string{".clawdbot", ".openclaw"}, want: "%H/.openclaw"},
		{name: "a directory too old for this release", existing: []string{".moltbot"}, want: "%H/.openclaw"},
		{name: "and not too old for an earlier one", release: "2026.2.26", existing: []string{".moltbot"}, want: "%H/.moltbot"},
		{name: "2026.3.22 knows two", release: "2026.3.22", existing: []string{".moltbot", ".moldbot"}, want: "%H/.moldbot"},
		{name: "the old variable", release: "2026.2.26", vars: map[string]string{"CLAWDBOT_STATE_DIR": "/old"}, want: "/old"},
		{name: "the old variable is ignored", vars: map[string]string{"CLAWDBOT_STATE_DIR": "/old"}, want: "%H/.openclaw"},
		{name: "a profile replaces the default directory", profile: "b", vars: map[string]string{"OPENCLAW_STATE_DIR": "~/.openclaw"}, want: "%H/.openclaw-b"},
		{name: "but not before 2026.8.1", release: "2026.7.35", profile: "b", vars: map[string]string{"OPENCLAW_STATE_DIR": "~/.openclaw"}, want: "%H/.openclaw"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testEnvironment(t)
			for name, value := range c.vars {
				env.Vars[name] = value
			}
			for _, dir := range c.existing {
				if err := os.Mkdir(filepath.Join(env.Home, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			version := "2026.9.6"
			if c.release != "" {
				version = c.release
			}
			want := expand(c.want, env)
			if got := StateDir(env, c.profile, release(t, version)); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func expand(path string, env Environment) string {
	switch {
	case len(path) >= 2 && path[:2] == "%H":
		return env.Home + path[2:]
	case len(path) >= 2 && path[:2] == "%D":
		return env.Dir + path[2:]
	}
	return path
}

func TestConfigPathIsTheGateways(t *testing.T) {
	env := testEnvironment(t)
	home := env.Home
	current := release(t, "2026.9.6")
	check := func(name, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	check("nothing there", ConfigPath(env, "", current), home+"/.openclaw/openclaw.json")
	check("a profile", ConfigPath(env, "p", current), home+"/.openclaw-p/openclaw.json")
	check("a variable", ConfigPath(env.with("OPENCLAW_CONFIG_PATH", "~/c.json"), "p", current), home+"/c.json")
	check("a state directory", ConfigPath(env.with("OPENCLAW_STATE_DIR", "/s"), "", current), "/s/openclaw.json")
	writeFile(t, home+"/.clawdbot/clawdbot.json", "{}")
	check("an old name", ConfigPath(env, "", current), home+"/.clawdbot/clawdbot.json")
	writeFile(t, home+"/.openclaw/moltbot.json", "{}")
	check("a name too old", ConfigPath(env, "", current), home+"/.openclaw/openclaw.json")
	check("a name not too old", ConfigPath(env, "", release(t, "2026.2.26")), home+"/.openclaw/moltbot.json")
	writeFile(t, home+"/.openclaw/openclaw.json", "{}")
	check("the new name wins", ConfigPath(env, "", release(t, "2026.2.26")), home+"/.openclaw/openclaw.json")
}
