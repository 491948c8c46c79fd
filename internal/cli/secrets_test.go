package cli

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"
)

// A secret in the place of a file's name, or in a URL, is a common slip. The log is
// read by more people than the variable.
func TestASecretInTheWrongVariableIsNotRepeated(t *testing.T) {
	const (
		key   = "MC4CAQAwBQYDK2VwBCIEIHh4eHh4eHh4eHh4eHh4/Hh4eHh4eHh4eHh4eHh4eHh4"
		token = "sk-Zm9vYmFy/c2VjcmV0+dG9rZW4="
		query = "ws://127.0.0.1:1/x?token=qqSecretInAQuery"
	)
	pem := "-----BEGIN PRIVATE KEY-----\n" + key + "\n-----END PRIVATE KEY-----\n"
	for _, c := range []struct {
		variable, value, names string
		commands               []string
	}{
		{"BOOTSTRAP_IDENTITY_FILE", key, "BOOTSTRAP_IDENTITY_FILE", []string{"seed", "identity import", "run -- true"}},
		{"BOOTSTRAP_IDENTITY_FILE", pem, "BOOTSTRAP_IDENTITY_FILE", []string{"seed", "identity import"}},
		{"OPENCLAW_GATEWAY_TOKEN_FILE", token, "OPENCLAW_GATEWAY_TOKEN_FILE", []string{"status", "probe", "approve --list", "join --name a", "run -- true"}},
		{"OPENCLAW_GATEWAY_TOKEN_FILE", strings.Repeat(token, 200), "OPENCLAW_GATEWAY_TOKEN_FILE", []string{"probe"}},
		{"BOOTSTRAP_BRIDGE_TOKEN_FILE", token, "BOOTSTRAP_BRIDGE_TOKEN_FILE", []string{"bridge --listen 127.0.0.1:0", "run --bridge 127.0.0.1:0 -- true"}},
		{"OPENCLAW_GATEWAY_URL", query, "", []string{"status", "status --json", "probe", "probe --json", "approve --list", "join --name a", "join --json --name a", "seed --client a", "seed --json --client a"}},
	} {
		for _, command := range c.commands {
			for _, format := range []string{"json", "console"} {
				home := t.TempDir()
				var out bytes.Buffer
				environ := []string{
					"HOME=" + home, "OPENCLAW_STATE_DIR=" + filepath.Join(home, "state"), "PATH=/usr/bin:/bin",
					"BOOTSTRAP_LOG_FORMAT=" + format, c.variable + "=" + c.value,
				}
				Main(append([]string{"bootstrap"}, strings.Fields(command)...), environ, &out, &out)
				for _, part := range []string{key[10:30], token[:12], "qqSecretInAQuery"} {
					if strings.Contains(out.String(), part) {
						t.Errorf("%s, %s: it is repeated:\n%s", c.variable, command, out.String())
					}
				}
				if !strings.Contains(out.String(), c.names) {
					t.Errorf("%s, %s: the variable is not named:\n%s", c.variable, command, out.String())
				}
			}
		}
	}
}

// A flag that was typed comes back in hints.
func TestAQueryThatWasTypedIsNotInAHint(t *testing.T) {
	home := t.TempDir()
	var out bytes.Buffer
	environ := []string{"HOME=" + home, "OPENCLAW_STATE_DIR=" + filepath.Join(home, "state"), "PATH=/usr/bin:/bin"}
	Main([]string{"bootstrap", "status", "--gateway-url", "ws://127.0.0.1:1/x?token=qqSecretInAQuery"}, environ, &out, &out)
	if strings.Contains(out.String(), "qqSecret") || !strings.Contains(out.String(), "--gateway-url") {
		t.Error(out.String())
	}
}

// Where the name is a path, it is told: that is what has to be corrected.
func TestAFileThatIsMissingIsNamedWhereItsDirectoryIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokne")
	if _, err := readToken(path); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("got %v", err)
	}
}
