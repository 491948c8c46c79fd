package gateway

import (
	"path/filepath"
	"strings"
	"testing"
)

// The rows marked with a release were seen on that gateway.
func TestTheSecretIsTheOneTheGatewayTakes(t *testing.T) {
	for _, c := range []struct {
		name, argv, config, dotenv string
		vars                       map[string]string
		mode                       AuthMode
		secret                     string
		source                     SourceKind
		disagree                   int
		doubt                      string
	}{
		{name: "configuration beats environment and .env (2026.5.28, 2026.9.6)", config: "{gateway:{auth:{token:'cfg'}}}", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "env"}, dotenv: "OPENCLAW_GATEWAY_TOKEN=dot", mode: AuthToken, secret: "cfg", source: SourceConfig, disagree: 1},
		{name: ".env beats the env section (2026.5.28, 2026.9.6)", config: "{env:{vars:{OPENCLAW_GATEWAY_TOKEN:'sect'}}}", dotenv: "OPENCLAW_GATEWAY_TOKEN=\"dot\" # c", mode: AuthToken, secret: "dot", source: SourceDotenv},
		{name: "the env section counts (2026.5.28, 2026.9.6)", config: "{env:{vars:{OPENCLAW_GATEWAY_TOKEN:'sect'}}}", mode: AuthToken, secret: "sect", source: SourceConfigEnv},
		{name: "a password in the environment beats --token (2026.5.28, 2026.9.6)", argv: "--token arg", vars: map[string]string{"OPENCLAW_GATEWAY_PASSWORD": "pw"}, mode: AuthPassword, secret: "pw", source: SourceEnv},
		{name: "unless the mode is said", argv: "--token arg --auth token", vars: map[string]string{"OPENCLAW_GATEWAY_PASSWORD": "pw"}, mode: AuthToken, secret: "arg", source: SourceArgv},
		{name: "argv beats all", argv: "--token arg", config: "{gateway:{auth:{token:'cfg'}}}", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "env"}, mode: AuthToken, secret: "arg", source: SourceArgv, disagree: 2},
		{name: "equal values do not disagree", argv: "--token a", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "a"}, mode: AuthToken, secret: "a", source: SourceArgv},
		{name: "nothing", mode: AuthToken},
		{name: "none", config: "{gateway:{auth:{mode:'none',token:'x'}}}", mode: AuthNone},
		{name: "trusted-proxy", argv: "--auth trusted-proxy", mode: AuthTrustedProxy},
		{name: "a reference beside another variable", config: "{gateway:{auth:{token:{source:'env',id:'MINE'}}}}", vars: map[string]string{"MINE": "m", "OPENCLAW_GATEWAY_TOKEN": "env"}, mode: AuthToken, secret: "m", source: SourceEnv, disagree: 1, doubt: "disagree"},
		{name: "a reference to the very variable", config: "{gateway:{auth:{token:{source:'env',id:'OPENCLAW_GATEWAY_TOKEN'}}}}", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "env"}, mode: AuthToken, secret: "env", source: SourceEnv},
		{name: "a program is asked for the token", config: "{gateway:{auth:{token:{source:'exec',provider:'p',id:'x'}}}}", mode: AuthToken, doubt: "only the gateway can ask"},
		{name: "an argument settles that", argv: "--token arg", config: "{gateway:{auth:{token:{source:'exec',provider:'p',id:'x'}}}}", mode: AuthToken, secret: "arg", source: SourceArgv},
		{name: "token and password without a mode", config: "{gateway:{auth:{token:'a',password:'b'}}}", mode: AuthPassword, secret: "b", source: SourceConfig, doubt: "no mode"},
		{name: "only a remote token", config: "{gateway:{remote:{token:'r'}}}", mode: AuthToken, doubt: "gateway.remote.token"},
		{name: "a remote password, which makes the mode (2026.9.6)", config: "{gateway:{remote:{password:'r'}}}", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "env"}, mode: AuthToken, secret: "env", source: SourceEnv, doubt: "gateway.remote.password"},
		{name: "a remote password beside a mode", config: "{gateway:{auth:{mode:'token'},remote:{password:'r'}}}", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "env"}, mode: AuthToken, secret: "env", source: SourceEnv},
		{name: "a remote password in place of one", config: "{gateway:{auth:{mode:'password'},remote:{password:'r'}}}", mode: AuthPassword, doubt: "gateway.remote.password"},
		{name: "a remote password beside one", config: "{gateway:{auth:{password:'p'},remote:{password:'r'}}}", mode: AuthPassword, secret: "p", source: SourceConfig},
		{name: "a login shell is asked", config: "{env:{shellEnv:{enabled:true}}}", mode: AuthToken, doubt: "login shell"},
		{name: "a broken configuration", config: "{", vars: map[string]string{"OPENCLAW_GATEWAY_TOKEN": "env"}, mode: AuthUnknown, secret: "env", source: SourceEnv, doubt: "not JSON5"},
		{name: "a password file", argv: "--password-file pw.txt", mode: AuthPassword, secret: "filed", source: SourceFile},
		{name: "an absent password file", argv: "--auth password --password-file no.txt", mode: AuthPassword, doubt: "not there"},
	} {
		t.Run(c.name, func(t *testing.T) {
			env := testEnvironment(t)
			for name, value := range c.vars {
				env.Vars[name] = value
			}
			state := filepath.Join(env.Home, stateDirName)
			writeFile(t, filepath.Join(env.Dir, "pw.txt"), "filed\n")
			writeFile(t, filepath.Join(state, ".env"), c.dotenv)
			if c.config != "" {
				writeFile(t, filepath.Join(state, configName), c.config)
			}
			in := inspect(t, "openclaw gateway "+c.argv, env)
			got := in.Auth
			if got.Mode != c.mode || got.Secret.Reveal() != c.secret || got.Source.Kind != c.source || len(got.Disagree) != c.disagree {
				t.Errorf("got %s %q from %s, disagreeing %v", got.Mode, got.Secret.Reveal(), got.Source, got.Disagree)
			}
			if (got.InDoubt == "") != (c.doubt == "") || !strings.Contains(got.InDoubt, c.doubt) {
				t.Errorf("doubt %q, want %q", got.InDoubt, c.doubt)
			}
			if c.secret != "" && len(c.secret) > 1 && strings.Contains(got.InDoubt, c.secret) && c.secret != "env" {
				t.Errorf("the doubt %q gives the secret away", got.InDoubt)
			}
		})
	}
}

func inspect(t *testing.T, argv string, env Environment) Installation {
	t.Helper()
	in, err := Inspect(strings.Fields(argv), env, Overrides{})
	if err != nil {
		t.Fatal(err)
	}
	return in
}
