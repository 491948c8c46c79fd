package gateway

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"testing"
)

// dotenvCases were produced by the npm package dotenv 17.4.2 itself, which is in
// openclaw 2026.2.26, 2026.5.28 and 2026.9.6.
var dotenvCases = [][2]string{
	{"A=1", "{\"A\":\"1\"}"},
	{"export A=1", "{\"A\":\"1\"}"},
	{"A = 1 ", "{\"A\":\"1\"}"},
	{"A='x y'", "{\"A\":\"x y\"}"},
	{"A=\"x\\ny\"", "{\"A\":\"x\\ny\"}"},
	{"A='x\\ny'", "{\"A\":\"x\\\\ny\"}"},
	{"A=`x`", "{\"A\":\"x\"}"},
	{"A=x # c", "{\"A\":\"x\"}"},
	{"A=\"x # y\" # c", "{\"A\":\"x # y\"}"},
	{"A=x#y", "{\"A\":\"x\"}"},
	{"A=$HOME", "{\"A\":\"$HOME\"}"},
	{"A=${HOME}", "{\"A\":\"${HOME}\"}"},
	{"A=\"$HOME\"", "{\"A\":\"$HOME\"}"},
	{"A: 1", "{\"A\":\"1\"}"},
	{"A=", "{\"A\":\"\"}"},
	{"A", "{}"},
	{"=1", "{}"},
	{"A='it's'", "{\"A\":\"it's\"}"},
	{"A=\"a\nb\"", "{\"A\":\"a\\nb\"}"},
	{"A='a\nb' # c\nB=2", "{\"A\":\"a\\nb\",\"B\":\"2\"}"},
	{"A=1\r\nB=2", "{\"A\":\"1\",\"B\":\"2\"}"},
	{"A=1\rB=2", "{\"A\":\"1\",\"B\":\"2\"}"},
	{"\ufeffA=1", "{\"A\":\"1\"}"},
	{"A.B-C=1", "{\"A.B-C\":\"1\"}"},
	{"A=\"x", "{\"A\":\"\\\"x\"}"},
	{"A='x", "{\"A\":\"'x\"}"},
	{"A=\"a\" \"b\"", "{\"A\":\"a\\\" \\\"b\"}"},
	{"  A=1", "{\"A\":\"1\"}"},
	{"#A=1", "{}"},
	{"A=1\nA=2", "{\"A\":\"2\"}"},
	{"A=\\$x", "{\"A\":\"\\\\$x\"}"},
	{"A=\"\\\"q\\\"\"", "{\"A\":\"\\\\\\\"q\\\\\\\"\"}"},
	{"A=x\\ny", "{\"A\":\"x\\\\ny\"}"},
	{"A = 'x' y", "{\"A\":\"'x' y\"}"},
	{"A=\u00a0x\u00a0", "{\"A\":\"x\"}"},
	{"export  A = \"\"", "{\"A\":\"\"}"},
	{"A=\"a\"b\nB=\"c\"", "{\"A\":\"\\\"a\\\"b\",\"B\":\"c\"}"},
	{"A=a\u2028B=2", "{\"A\":\"a\u2028B=2\"}"},
	{"1A=2", "{\"1A\":\"2\"}"},
	{"A=\"l1\n\"l2\"\"", "{\"A\":\"\\\"l1\"}"},
	{"A='", "{\"A\":\"'\"}"},
	{"A=x=y==", "{\"A\":\"x=y==\"}"},
	{"A=\tx\t", "{\"A\":\"x\"}"},
	{"A=`=# c\u2028`B", "{\"A\":\"`=\"}"},
	{"A=x\u2028y # c", "{\"A\":\"x\u2028y\"}"},
	{"A=\"x\u2028y\" # c", "{\"A\":\"x\u2028y\"}"},
	{"A\n=\n'x'\nB=2", "{\"A\":\"x\",\"B\":\"2\"}"},
	{"export\nA=1", "{\"A\":\"1\"}"},
	{"export=1", "{\"export\":\"1\"}"},
	{"export =1", "{\"export\":\"1\"}"},
	{"export: A=1", "{\"export\":\"A=1\"}"},
	{"export A", "{}"},
	{"export export A=1", "{}"},
	{"A :1\nB=2", "{\"B\":\"2\"}"},
	{"A:1\nB=2", "{\"B\":\"2\"}"},
	{"A:", "{}"},
	{"A:\nB=2", "{\"A\":\"B=2\"}"},
	{"A:\n\nB=2", "{\"A\":\"\",\"B\":\"2\"}"},
	{"A:\n'x'", "{\"A\":\"x\"}"},
	{"A=\nB=2", "{\"A\":\"\",\"B\":\"2\"}"},
	{"A=#c\nB=2", "{\"A\":\"\",\"B\":\"2\"}"},
	{"A=\n# c\nB=2", "{\"A\":\"\",\"B\":\"2\"}"},
	{"A='x\\'", "{\"A\":\"x\\\\\"}"},
	{"A='x\\' y'", "{\"A\":\"x\\\\' y\"}"},
	{"A='x\\' # c\ny'z'", "{\"A\":\"x\\\\\"}"},
	{"A='x\\'y'", "{\"A\":\"x\\\\'y\"}"},
	{"A='x\\\\'y", "{\"A\":\"'x\\\\\\\\'y\"}"},
	{"A='x\\' y\nB=2", "{\"A\":\"'x\\\\' y\",\"B\":\"2\"}"},
	{"A=\"x\\ny", "{\"A\":\"\\\"x\\ny\"}"},
	{"A=\"x\\r\\ny\"", "{\"A\":\"x\\r\\ny\"}"},
	{"A='x#y", "{\"A\":\"'x\"}"},
	{"A='x' y # '\nB=2", "{\"A\":\"'x' y\",\"B\":\"2\"}"},
	{"A=`x'\"y`", "{\"A\":\"x'\\\"y\"}"},
	{"A=\"a\nB=2\"\nC=3", "{\"A\":\"a\\nB=2\",\"C\":\"3\"}"},
	{"A=\"a\nB=2\nC=3", "{\"A\":\"\\\"a\",\"B\":\"2\",\"C\":\"3\"}"},
	{"A='x'#c", "{\"A\":\"x\"}"},
	{"A='x'\n\n# c\nB=2", "{\"A\":\"x\",\"B\":\"2\"}"},
	{"A='x'\u2028B=2", "{\"A\":\"x\",\"B\":\"2\"}"},
	{"# c\u2028A=1", "{\"A\":\"1\"}"},
	{"A='x' # c\u2029B=2", "{\"A\":\"x\",\"B\":\"2\"}"},
	{"A=x # c\u2028B=2", "{\"A\":\"x\",\"B\":\"2\"}"},
	{"x\u2028A=1", "{\"A\":\"1\"}"},
	{"A=\u2028'x'", "{\"A\":\"x\"}"},
	{"A\u3000=\ufeffx\u1680", "{\"A\":\"x\"}"},
	{"A=\u0085x\u200b", "{\"A\":\"\u0085x\u200b\"}"},
	{"A=\u00e9\n\u00c9=1", "{\"A\":\"\u00e9\"}"},
	{"x A=1\nB=2", "{\"B\":\"2\"}"},
	{"A=''", "{\"A\":\"\"}"},
	{"A=\"\"\"", "{\"A\":\"\\\"\"}"},
	{"A='x\n\ny'", "{\"A\":\"x\\n\\ny\"}"},
	{"A:\ufeffx", "{\"A\":\"x\"}"},
	{"A==", "{\"A\":\"=\"}"},
	{"A=:x", "{\"A\":\":x\"}"},
	{"A=\"\\\\n\"", "{\"A\":\"\\\\\\n\"}"},
	{"A=x'y'", "{\"A\":\"x'y'\"}"},
	{"A='a' 'b' c\nB='d'", "{\"A\":\"'a' 'b' c\",\"B\":\"d\"}"},
	{"A=`\\n`", "{\"A\":\"\\\\n\"}"},
}

func TestDotenvReadsWhatTheNpmPackageReads(t *testing.T) {
	for _, c := range dotenvCases {
		var want map[string]string
		if err := json.Unmarshal([]byte(c[1]), &want); err != nil {
			t.Fatal(err)
		}
		if got := parseDotenv([]byte(c[0])); !reflect.DeepEqual(got, want) {
			t.Errorf("%q gives %q, npm's dotenv gives %q", c[0], got, want)
		}
	}
}

func FuzzDotenv(f *testing.F) {
	for _, c := range dotenvCases {
		f.Add(c[0])
	}
	f.Fuzz(func(t *testing.T, text string) {
		for name := range parseDotenv([]byte(text)) {
			if name == "" {
				t.Error("a variable without a name")
			}
		}
	})
}

func TestDotenvFilesByRelease(t *testing.T) {
	old, current := release(t, "2026.2.26"), release(t, "2026.9.6")
	setup := func(t *testing.T) (Environment, string) {
		env := testEnvironment(t)
		state := filepath.Join(env.Home, stateDirName)
		writeFile(t, filepath.Join(env.Dir, ".env"), "OPENCLAW_GATEWAY_TOKEN=cwd\nMINE=cwd\n")
		writeFile(t, filepath.Join(state, ".env"), "OPENCLAW_GATEWAY_TOKEN=state\nMINE=state\n")
		writeFile(t, filepath.Join(env.Home, ".config/openclaw/gateway.env"), "SERVICE=yes\n")
		return env, state
	}
	t.Run("a new gateway takes no OPENCLAW_ variable from the working directory", func(t *testing.T) {
		env, state := setup(t)
		vars := newVariables(env.Vars)
		loadDotenv(vars, env, current, state)
		wantVariables(t, vars, map[string]string{"OPENCLAW_GATEWAY_TOKEN": "state", "MINE": "cwd", "SERVICE": "yes"})
	})
	t.Run("an old gateway does", func(t *testing.T) {
		env, state := setup(t)
		vars := newVariables(env.Vars)
		loadDotenv(vars, env, old, state)
		wantVariables(t, vars, map[string]string{"OPENCLAW_GATEWAY_TOKEN": "cwd", "MINE": "cwd", "SERVICE": ""})
	})
	t.Run("an empty variable in the environment is not replaced", func(t *testing.T) {
		env, state := setup(t)
		env = env.with("MINE", "")
		vars := newVariables(env.Vars)
		loadDotenv(vars, env, current, state)
		wantVariables(t, vars, map[string]string{"MINE": ""})
	})
	t.Run("gateway.env does not count for another state directory", func(t *testing.T) {
		env, _ := setup(t)
		env = env.with("OPENCLAW_STATE_DIR", t.TempDir())
		vars := newVariables(env.Vars)
		loadDotenv(vars, env, current, env.Vars["OPENCLAW_STATE_DIR"])
		wantVariables(t, vars, map[string]string{"SERVICE": ""})
	})
	t.Run("a file that cannot be read is reported", func(t *testing.T) {
		env, state := setup(t)
		path := filepath.Join(state, ".env")
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		if err := os.Mkdir(path, 0o700); err != nil {
			t.Fatal(err)
		}
		if doubts := loadDotenv(newVariables(env.Vars), env, current, state); len(doubts) != 1 {
			t.Errorf("got %q, want one doubt", doubts)
		}
	})
}

func wantVariables(t *testing.T, vars variables, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if vars.values[name] != value {
			t.Errorf("%s is %q, want %q", name, vars.values[name], value)
		}
	}
}
