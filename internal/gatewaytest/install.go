package gatewaytest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Install makes sure that a release of the gateway, for example "2026.9.6", is
// installed and returns the argv that starts its CLI: a Node and openclaw.mjs.
// The first installation of a release takes about 40 s, any other milliseconds.
func Install(t testing.TB, version string) []string {
	t.Helper()
	NeedGateway(t)
	cmd := exec.CommandContext(t.Context(), filepath.Join(scripts(t), "gateway-install"), version)
	cmd.Env = append(os.Environ(), "BOOTSTRAP_GATEWAY_CACHE="+cacheDir(t))
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("cannot install openclaw %s: %v\n%s", version, err, stderr.String())
	}
	argv := strings.Split(strings.TrimSpace(string(out)), "\n")
	if len(argv) != 2 {
		t.Fatalf("gateway-install %s printed %q, not two lines", version, out)
	}
	return argv
}

// NeedGateway skips a test under -short, all of it.
func NeedGateway(t testing.TB) {
	t.Helper()
	if testing.Short() {
		t.Skip("skipped under -short: this test starts a real gateway")
	}
}

// cacheDir is the directory that scripts/gateway-install uses.
func cacheDir(t testing.TB) string {
	t.Helper()
	dir := os.Getenv("BOOTSTRAP_GATEWAY_CACHE")
	if dir == "" {
		user, err := os.UserCacheDir()
		if err != nil {
			t.Fatalf("cannot find the cache directory: %v", err)
		}
		dir = filepath.Join(user, "bootstrap-gateways")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func scripts(t testing.TB) string {
	t.Helper()
	return filepath.Join(root(t), "scripts")
}

// root is the module's directory: "go test" starts a test in its package's directory.
func root(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
	}
	t.Fatal("there is no go.mod above the test's directory")
	return ""
}
