package pairing

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/reflectt/bootstrap/internal/settings"
)

// A gateway takes a new token over without a start: what asks it later has to show that.
func TestTheSecretIsThatOfTheConfigurationNow(t *testing.T) {
	state := t.TempDir()
	configure := func(token string) {
		text := `{"gateway": {"port": 1, "auth": {"mode": "token", "token": "` + token + `"}}}`
		if err := os.WriteFile(filepath.Join(state, "openclaw.json"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	configure("the-one-before")
	target, err := Settle(Invocation{}, settings.Settings{StateDir: state}, nil, map[string]string{"HOME": state}, false)
	if err != nil {
		t.Fatal(err)
	}
	configure("the-one-now")
	if token, _ := target.AuthNow().SharedSecret(); token != "the-one-now" {
		t.Errorf("got %q", token)
	}
	if token, _ := target.SharedSecret(); token != "the-one-before" {
		t.Errorf("the target itself has %q", token)
	}
}
