package settings_test

import (
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/settings"
)

func TestARefusalSaysWhatToWriteInstead(t *testing.T) {
	const url, pin = "OPENCLAW_GATEWAY_URL", "BOOTSTRAP_TLS_FINGERPRINT"
	for name, c := range map[string]struct{ variable, value, want string }{
		"a time without a unit":   {"BOOTSTRAP_PROVE_TIMEOUT", "60", `"60" is not a time: write 60s or 2m`},
		"a time in words":         {"BOOTSTRAP_LOCK_TIMEOUT", "soon", `"soon" is not a time: write 60s or 2m`},
		"a number in words":       {"BOOTSTRAP_APPROVE_MAX", "three", `"three" is not a whole number`},
		"a number with a point":   {"BOOTSTRAP_APPROVE_MAX", "1.5", `"1.5" is not a whole number`},
		"a yes in words":          {"BOOTSTRAP_APPROVE_UPGRADES", "yes", `"yes" is neither true nor false`},
		"an address without ws":   {url, "127.0.0.1:28020", "write ws://127.0.0.1:28020"},
		"a name without ws":       {url, "gateway:18789", "write ws://gateway:18789"},
		"IPv6 without ws":         {url, "[::1]:28001", "write ws://[::1]:28001"},
		"double quotes":           {url, `"ws://h:1"`, "it has quotes around it"},
		"single quotes":           {url, `'ws://h:1'`, "it has quotes around it"},
		"IPv6 without brackets":   {url, "ws://::1:28001", "write ws://[::1]:28001"},
		"the same with a path":    {url, "wss://::1:28001/ws?token=pa55word", "write wss://[::1]:28001"},
		"the same without a port": {url, "ws://fe80::1", "write ws://[fe80::1]"},
		"the same without ws":     {url, "::1:28001", "write ws://[::1]:28001"},
		"a name with a colon":     {url, "name:pa55word", "it does not start with ws:// or wss://"},
		"a fingerprint":           {pin, "zz", "64 hex digits, colons allowed"},
		"a short fingerprint":     {pin, "ab:cd", "64 hex digits, colons allowed"},
		"a scope as a client":     {"BOOTSTRAP_CLIENTS", "agent-1:read,write", `"write" is a word for scopes, not a client`},
		"a whole scope":           {"BOOTSTRAP_CLIENTS", "agent-1,operator.read", `"operator.read" is a word for scopes, not a client`},
		"a scope with a dot":      {"BOOTSTRAP_CLIENTS", "talk.secrets", "a client that is really called so is talk.secrets:standard"},
		"a preset as a client":    {"BOOTSTRAP_CLIENTS", "standard", "several scopes go into --manifest"},
		"an exit code with two":   {"BOOTSTRAP_REMAP_EXIT", "143=0,7=5,143=1", "143 cannot become both 0 and 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settings.Load(map[string]string{c.variable: c.value}, nil)
			if err == nil || !strings.Contains(err.Error(), c.variable) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "pa55word") {
				t.Errorf("what may be a secret is repeated: %v", err)
			}
		})
	}
}

func TestAWordForScopesIsANameWhereItIsClearlyMeantSo(t *testing.T) {
	s, err := settings.Load(map[string]string{"BOOTSTRAP_CLIENTS": "admin:full,read=" + goldenKey + ",reader,write-1"}, nil)
	if err != nil || len(s.Clients) != 4 {
		t.Errorf("got %v, %v", s.Clients, err)
	}
}

func TestAFingerprintIsTakenAsProgramsPrintIt(t *testing.T) {
	for _, pin := range []string{strings.Repeat("0a", 32), strings.Repeat("0A:", 31) + "0A"} {
		s, err := settings.Load(map[string]string{"BOOTSTRAP_TLS_FINGERPRINT": pin}, nil)
		if err != nil || string(s.Fingerprint) != pin {
			t.Errorf("got %q, %v", s.Fingerprint, err)
		}
	}
}

func TestTheLineEndsOfWindowsAreNoPartOfAValue(t *testing.T) {
	values := map[string]string{
		"OPENCLAW_GATEWAY_URL": "ws://h:1", "OPENCLAW_STATE_DIR": "/data", "BOOTSTRAP_PRESET": "read",
		"BOOTSTRAP_PROVE_TIMEOUT": "60s", "BOOTSTRAP_REQUIRE_PAIRED": "true", "BOOTSTRAP_APPROVE_MAX": "3", "BOOTSTRAP_CLIENTS": "a,b",
	}
	want, err := settings.Load(values, nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range values {
		values[name] = value + " \r"
	}
	got, err := settings.Load(values, nil)
	if err != nil || got.GatewayURL != want.GatewayURL || got.StateDir != want.StateDir || got.Preset != want.Preset ||
		got.ProveTimeout != want.ProveTimeout || !got.RequirePaired || got.ApproveMax != 3 || len(got.Clients) != 2 {
		t.Errorf("got %+v, %v", got, err)
	}
}

// As people write lists, with a blank behind the comma.
func TestABlankBehindACommaIsNoPartOfAValue(t *testing.T) {
	for name, of := range map[string]func(settings.Settings) []string{
		"BOOTSTRAP_ORIGINS": func(s settings.Settings) (all []string) {
			for _, origin := range s.Origins {
				all = append(all, string(origin))
			}
			return all
		},
		"BOOTSTRAP_BRIDGE":          func(s settings.Settings) []string { return s.Bridge },
		"BOOTSTRAP_BRIDGE_HOSTS":    func(s settings.Settings) []string { return s.BridgeHosts },
		"BOOTSTRAP_TRUSTED_PROXIES": func(s settings.Settings) []string { return s.TrustedProxies },
		"BOOTSTRAP_SCOPES":          func(s settings.Settings) []string { return s.Scopes },
	} {
		given := map[string]string{
			"BOOTSTRAP_ORIGINS": "http://a:1, http://b:2", "BOOTSTRAP_BRIDGE": "127.0.0.1:1, 127.0.0.1:2", "BOOTSTRAP_BRIDGE_HOSTS": "a, b",
			"BOOTSTRAP_TRUSTED_PROXIES": "10.0.0.1, 10.0.0.2", "BOOTSTRAP_SCOPES": "operator.read, operator.write",
		}[name]
		s, err := settings.Load(map[string]string{name: given}, nil)
		if got := strings.Join(of(s), ", "); err != nil || got != given {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestTheSameIsSaidInTheSameOrder(t *testing.T) {
	for range 50 {
		_, err := settings.Load(map[string]string{"PUID": "abc", "PGID": "def"}, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "PUID: ") {
			t.Fatalf("got %v", err)
		}
	}
}
