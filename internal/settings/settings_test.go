package settings_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/settings"
)

func TestEveryWrongValueIsReportedAtOnceByName(t *testing.T) {
	_, err := settings.Load(map[string]string{
		"BOOTSTRAP_HANDOVER":      "later",
		"BOOTSTRAP_PROVE_TIMEOUT": "soon",
		"BOOTSTRAP_CLIENTS":       "agent 1,agent-2:godlike,agent-3=short",
		"OPENCLAW_GATEWAY_URL":    "ftp://host",
		"BOOTSTRAP_PRESET":        "all",
		"BOOTSTRAP_LOCK_TIMEOUT":  "-1s",
	}, map[string]string{"BOOTSTRAP_REQUIRE_PAIRED": "maybe"})
	var problems *settings.Error
	if !errors.As(err, &problems) {
		t.Fatalf("got %v", err)
	}
	for _, want := range []string{
		`--handover (BOOTSTRAP_HANDOVER): "later" is not one of auto, exec, supervise`,
		`--prove-timeout (BOOTSTRAP_PROVE_TIMEOUT): `,
		`--client (BOOTSTRAP_CLIENTS): "agent 1" is not a client's name`,
		`client agent-2: unknown preset "godlike"`,
		`client agent-3: cannot use device identity`,
		`--gateway-url (OPENCLAW_GATEWAY_URL): it does not start with ws:// or wss://`,
		`--preset (BOOTSTRAP_PRESET): unknown preset "all"`,
		`--lock-timeout (BOOTSTRAP_LOCK_TIMEOUT): a time cannot be negative`,
		`--require-paired (BOOTSTRAP_REQUIRE_PAIRED): "maybe" is neither true nor false`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in:\n%s", want, strings.Join(problems.Problems, "\n"))
		}
	}
}

func TestAFlagWinsOverItsVariableAndEmptyCountsAsUnset(t *testing.T) {
	s, err := settings.Load(
		map[string]string{"BOOTSTRAP_HANDOVER": "exec", "BOOTSTRAP_LOCK_TIMEOUT": "", "BOOTSTRAP_CLIENTS": " "},
		map[string]string{"BOOTSTRAP_HANDOVER": "supervise"})
	if err != nil {
		t.Fatal(err)
	}
	if s.Handover != settings.Supervise || s.LockTimeout.Seconds() != 30 || s.Clients != nil {
		t.Errorf("got %+v", s)
	}
}

func TestClientsTakeAPresetAndAPublicKey(t *testing.T) {
	const key, other = "A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"
	s, err := settings.Load(map[string]string{"BOOTSTRAP_CLIENTS": "a, b:read,c=" + key + ",d:pairing=" + other}, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := settings.Clients{
		{Name: "a", Preset: "standard"}, {Name: "b", Preset: "read"},
		{Name: "c", Preset: "standard", PublicKey: key}, {Name: "d", Preset: "pairing", PublicKey: other},
	}
	if !reflect.DeepEqual(s.Clients, want) {
		t.Errorf("got %v, want %v", s.Clients, want)
	}
}

// It is asked for some twenty times at each start, and reads the tags of all fields.
func TestTheListOfSettingsIsMadeOnce(t *testing.T) {
	settings.Fields()
	if allocations := testing.AllocsPerRun(10, func() { settings.Fields() }); allocations != 0 {
		t.Errorf("%.0f allocations each time", allocations)
	}
}
