package settings_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/settings"
)

// goldenKey is a public key of no consequence.
const goldenKey = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"

func TestWithoutAnyValueTheDefaultsCount(t *testing.T) {
	s, err := settings.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if s.Handover != settings.Auto || s.Preset != "" || s.LogFormat != settings.FormatAuto ||
		s.ProveTimeout != 2*time.Minute || s.LockTimeout != 30*time.Second || s.RequirePaired {
		t.Errorf("got %+v", s)
	}
}

func TestAnEmptyFlagIsNoSilentOtherValue(t *testing.T) {
	defaults, err := settings.Load(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"BOOTSTRAP_PRESET", "BOOTSTRAP_HANDOVER", "BOOTSTRAP_LOG_FORMAT", "BOOTSTRAP_PROVE_TIMEOUT", "BOOTSTRAP_LOCK_TIMEOUT", "BOOTSTRAP_USER", "BOOTSTRAP_SCOPES"} {
		s, err := settings.Load(map[string]string{}, map[string]string{name: ""})
		if err != nil {
			continue // refused is as well as unset
		}
		if s.Preset != defaults.Preset || s.Handover != defaults.Handover || s.LogFormat != defaults.LogFormat ||
			s.ProveTimeout != defaults.ProveTimeout || s.LockTimeout != defaults.LockTimeout {
			t.Errorf("%s: got %+v, want the defaults", name, s)
		}
	}
}

func TestValuesAreTakenOrRefusedByTheirForm(t *testing.T) {
	for name, c := range map[string]struct {
		variable string
		good     []string
		bad      []string
	}{
		"a URL":      {"OPENCLAW_GATEWAY_URL", []string{"ws://h", "wss://h:443/ws", "http://[::1]:1", "https://h"}, []string{"h:18789", "ftp://h", "ws://", "ws://a b", "://h", "ws:h"}},
		"a user":     {"BOOTSTRAP_USER", []string{"node", "1000", "1000:1000", "node:staff"}, []string{":1", "1:", "a:b:c", "a b", "../a", "a\nb"}},
		"scopes":     {"BOOTSTRAP_SCOPES", []string{"operator.read", "operator.read, operator.talk.secrets", "operator.read,"}, []string{"read", "operator.", "operator.Read", "node.read", "operator.a b", "operator.*"}},
		"a preset":   {"BOOTSTRAP_PRESET", []string{"full", "standard", "read", "pairing"}, []string{"Full", "full,read", "admin"}},
		"a time":     {"BOOTSTRAP_PROVE_TIMEOUT", []string{"0s", "90s", "1m30s"}, []string{"90", "-1s", "1 m", "1d"}},
		"a yes":      {"BOOTSTRAP_REQUIRE_PAIRED", []string{"true", "false", "1", "0"}, []string{"yes", "on", "2"}},
		"exit codes": {"BOOTSTRAP_REMAP_EXIT", []string{"143", "143,143=0", "7=5,5=7"}, []string{"256", "143=-1", "143=0,143=1"}},
		"a number":   {"BOOTSTRAP_APPROVE_MAX", []string{"1", "20"}, []string{"0", "-1", "one"}},
		"some time":  {"BOOTSTRAP_APPROVE_FOR", []string{"10m"}, []string{"0", "0s", "-1s"}},
		"a host":     {"BOOTSTRAP_BRIDGE_HOSTS", []string{"gateway.local", "gateway.local.", "192.0.2.1", "[2001:db8::1]", "a,b"}, []string{"gateway.local:18790", "192.0.2.1:80", "[2001:db8::1]:80", "http://gateway.local", "a/b", ".", "[]"}},
		"a handover": {"BOOTSTRAP_HANDOVER", []string{"auto", "exec", "supervise"}, []string{"Exec", "init"}},
		"a client":   {"BOOTSTRAP_CLIENTS", []string{"a", "a:read", "A.b_c-9", "a,b"}, []string{"self", ".", "..", "a/b", "-a", "a:", "a:b:c", "a=", "a=key", "a,a", "a=" + goldenKey + ",b=" + goldenKey, strings.Repeat("a", 65)}},
	} {
		for _, value := range c.good {
			t.Run(name+" "+value, func(t *testing.T) {
				if _, err := settings.Load(map[string]string{c.variable: value}, nil); err != nil {
					t.Errorf("refused: %v", err)
				}
			})
		}
		for _, value := range c.bad {
			t.Run("no "+name+" "+value, func(t *testing.T) {
				_, err := settings.Load(map[string]string{c.variable: value}, nil)
				var problems *settings.Error
				if !errors.As(err, &problems) || !strings.Contains(err.Error(), c.variable) || strings.Contains(err.Error(), "\n") {
					t.Errorf("got %v, want one line that names %s", err, c.variable)
				}
			})
		}
	}
}

func TestATimeInWhichNoGatewayAnswersEndsNone(t *testing.T) {
	for timeout, refused := range map[string]bool{"0": true, "0s": true, "1ms": false, "soon": true, "": false} {
		_, err := settings.Load(map[string]string{"BOOTSTRAP_REQUIRE_PAIRED": "true", "BOOTSTRAP_PROVE_TIMEOUT": timeout}, nil)
		problems := (*settings.Error)(nil)
		if errors.As(err, &problems) != refused || refused && len(problems.Problems) != 1 {
			t.Errorf("%q: %v", timeout, err)
		}
	}
	// One that runs already may be the one that has to let this device in.
	for _, environ := range []map[string]string{
		{"BOOTSTRAP_PROVE_TIMEOUT": "0"},
		{"BOOTSTRAP_PROVE_TIMEOUT": "0", "BOOTSTRAP_REQUIRE_PAIRED": "true", "OPENCLAW_GATEWAY_URL": "ws://gateway:18789"},
	} {
		if _, err := settings.Load(environ, nil); err != nil {
			t.Errorf("%v: %v", environ, err)
		}
	}
}

func TestAPasswordInAURLIsNotRepeated(t *testing.T) {
	for _, url := range []string{
		"ws://name:pa55word@host", "ws://:pa55word@host:no-port", "ftp://name:pa55word@host", "ws://name:pa55word@",
		"name:pa55word@host", "ws://name:pa55word@ho st",
	} {
		_, err := settings.Load(map[string]string{"OPENCLAW_GATEWAY_URL": url}, nil)
		if err == nil || strings.Contains(err.Error(), "pa55word") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestEverySettingIsDescribedOnce(t *testing.T) {
	seen := map[string]bool{}
	for _, field := range settings.Fields() {
		if field.Env == "" || field.Usage == "" || seen[field.Env] || (field.Flag != "" && seen[field.Flag]) {
			t.Errorf("%+v: without a name, without a word, or there twice", field)
		}
		seen[field.Env], seen[field.Flag] = true, true
		if field.Secret && field.Flag != "" {
			t.Errorf("%s: a secret that can stand in argv", field.Env)
		}
		if field.Bool == (field.Arg != "") && field.Flag != "" {
			t.Errorf("%s: a switch takes no value, and all else takes one", field.Flag)
		}
	}
}

func TestASecretNeverPrintsItself(t *testing.T) {
	s, err := settings.Load(map[string]string{"BOOTSTRAP_IDENTITY": "very secret"}, nil)
	if err != nil || string(s.Identity) != "very secret" || strings.Contains(s.Identity.String(), "very") {
		t.Errorf("got %s, %v", s.Identity, err)
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("agent-1:read", "ws://h:18789", "1000:1000", "operator.read", "90s", "exec", "000102", "true")
	f.Add("a=A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg,,b", "wss://[::1]", "node", "operator.a,b", "-1h", "supervise", "", "maybe")
	f.Add("self", "://%zz", ":", ",", "1e9h", "${HOME}", "-----BEGIN PRIVATE KEY-----", "\x00")
	f.Add("=\n=", "http://u:p@h", "a:b:c", "operator.\xff", "", "$BOOTSTRAP_IDENTITY", "%s%n", "TRUE")
	f.Fuzz(func(t *testing.T, clients, url, user, scopes, timeout, handover, secret, yes string) {
		// A value that cannot be in an error by chance.
		sum := sha256.Sum256([]byte(secret))
		marked := "key-" + hex.EncodeToString(sum[:]) + secret
		environ := map[string]string{
			"BOOTSTRAP_IDENTITY": marked, "OPENCLAW_GATEWAY_TOKEN": marked, "BOOTSTRAP_CLIENTS": clients,
			"OPENCLAW_GATEWAY_URL": url, "BOOTSTRAP_USER": user, "BOOTSTRAP_PROVE_TIMEOUT": timeout,
			"BOOTSTRAP_IDENTITY_FILE": user, "OPENCLAW_GATEWAY_TOKEN_FILE": url, "BOOTSTRAP_LOG_FORMAT": handover,
		}
		flags := map[string]string{
			"BOOTSTRAP_SCOPES": scopes, "BOOTSTRAP_HANDOVER": handover, "BOOTSTRAP_REQUIRE_PAIRED": yes, "BOOTSTRAP_LOCK_TIMEOUT": timeout,
		}
		s, err := settings.Load(environ, flags)
		if err == nil {
			if string(s.Identity) != marked {
				t.Errorf("the key was changed: %q", string(s.Identity))
			}
			return
		}
		var problems *settings.Error
		if !errors.As(err, &problems) || len(problems.Problems) == 0 || slices.Contains(problems.Problems, "") {
			t.Fatalf("got %v", err)
		}
		if strings.Contains(err.Error(), marked[:36]) {
			t.Errorf("a secret is in the error: %v", err)
		}
		if environ["BOOTSTRAP_CLIENTS"] != clients || len(environ) != 9 || len(flags) != 4 {
			t.Error("what was given was changed")
		}
	})
}
