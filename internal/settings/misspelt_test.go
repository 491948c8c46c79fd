package settings_test

import (
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/settings"
)

func TestAMisspeltVariableIsNotPassedOver(t *testing.T) {
	for name, meant := range map[string]string{
		"BOOTSTRAP_PRESETS":       "BOOTSTRAP_PRESET",
		"BOOTSTRAP_CLIENT":        "BOOTSTRAP_CLIENTS",
		"BOOTSTRAP_CLEINTS":       "BOOTSTRAP_CLIENTS",
		"BOOTSTRAP_Clients":       "BOOTSTRAP_CLIENTS",
		"BOOTSTRAP_SCOPE":         "BOOTSTRAP_SCOPES",
		"BOOTSTRAP_USERS":         "BOOTSTRAP_USER",
		"BOOTSTRAP_REQUIRE_PAIR":  "BOOTSTRAP_REQUIRE_PAIRED",
		"BOOTSTRAP_APPROVE_ROLES": "BOOTSTRAP_APPROVE_ROLE",
		"BOOTSTRAP_BRIDGE_TOKEN":  "BOOTSTRAP_BRIDGE_TOKENS",
		"BOOTSTRAP_BRIDGE_HOST":   "BOOTSTRAP_BRIDGE_HOSTS",
		"BOOTSTRAP_INDENTITY":     "BOOTSTRAP_IDENTITY",
		// By the names of their flags.
		"BOOTSTRAP_STATE_DIR":          "OPENCLAW_STATE_DIR",
		"BOOTSTRAP_GATEWAY_URL":        "OPENCLAW_GATEWAY_URL",
		"BOOTSTRAP_GATEWAY_TOKEN_FILE": "OPENCLAW_GATEWAY_TOKEN_FILE",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := settings.Load(map[string]string{name: "pa55word"}, nil)
			want := "there is no variable " + name + ": did you mean " + meant + "?"
			if err == nil || err.Error() != want {
				t.Errorf("got %v, want %s", err, want)
			}
			if _, err := settings.Load(map[string]string{name: " "}, nil); err != nil {
				t.Errorf("empty: %v", err)
			}
		})
	}
}

// What is read outside of the settings, by our own scripts, in bundles and by
// other programs, must not keep a gateway from starting.
func TestAVariableThatIsSomebodyElsesIsPassedOver(t *testing.T) {
	for name := range strings.FieldsSeq(`
		BOOTSTRAP_CLIENT_ID BOOTSTRAP_CLIENT_MODE BOOTSTRAP_CLIENT_PLATFORM BOOTSTRAP_CLIENT_FAMILY
		BOOTSTRAP_JOIN_WAIT BOOTSTRAP_GATEWAY_CACHE BOOTSTRAP_GATEWAY_LOCKED BOOTSTRAP_IMAGE
		BOOTSTRAP_MATRIX BOOTSTRAP_TOOLS BOOTSTRAP_VULNDB BOOTSTRAP_REQUIRE_VULN
		BOOTSTRAP BOOTSTRAP_ BOOTSTRAP_SERVERS BOOTSTRAP_VERSION BOOTSTRAP_VER BOOTSTRAP_CSS BOOTSTRAP_TOKEN BOOTSTRAP_URL
		BOOTSTRAP_UID BOOTSTRAP_RESET BOOTSTRAP_PASSWORD BOOTSTRAP_ADMIN_USER BOOTSTRAP_NODES BOOTSTRAP_PEERS BOOTSTRAP_FILE
		BOOTSTRAP_SERVICE_HOST BOOTSTRAP_SERVICE_PORT BOOTSTRAP_PORT BOOTSTRAP_PORT_18789_TCP_ADDR
		BOOTSTRAP_BRIDGE_SERVICE_HOST BOOTSTRAP_BRIDGE_PORT BOOTSTRAP_GATEWAY_SERVICE_PORT BOOTSTRAP_GATEWAY_PORT
		KAFKA_BOOTSTRAP_SERVERS OPENCLAW_STATE_DIRS OPENCLAW_GATEWAY_URLS OPENCLAW_GATEWAY_TOKENS PRESET CLIENT`) {
		if _, err := settings.Load(map[string]string{name: "x"}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
