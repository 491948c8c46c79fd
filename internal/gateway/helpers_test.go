package gateway

import (
	"os"
	"path/filepath"
	"testing"
)

func testEnvironment(t *testing.T) Environment {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	env := Environment{Home: filepath.Join(root, "home"), Dir: filepath.Join(root, "dir")}
	env.Vars = map[string]string{"HOME": env.Home, "PATH": filepath.Join(root, "bin")}
	for _, dir := range []string{env.Home, env.Dir, filepath.Join(root, "bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return env
}

func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func release(t *testing.T, version string) Release {
	t.Helper()
	parsed, err := ParseVersion(version)
	if err != nil {
		t.Fatal(err)
	}
	return Release{Version: parsed, Known: true}
}

// installPackage lays out an npm installation with its link in PATH and returns
// the package directory.
func installPackage(t *testing.T, env Environment, version string) string {
	t.Helper()
	modules := filepath.Join(filepath.Dir(env.Home), "lib/node_modules")
	dir := filepath.Join(modules, packageName)
	writeFile(t, filepath.Join(dir, "package.json"), `{"name":"openclaw","version":"`+version+`","openclaw":{"schemaVersions":{"state":18}}}`)
	writeFile(t, filepath.Join(dir, "dist/package.json"), `{"type":"module"}`)
	for _, script := range []string{"openclaw.mjs", "dist/index.js"} {
		writeFile(t, filepath.Join(dir, script), "#!/usr/bin/env node\n")
	}
	if err := os.Chmod(filepath.Join(dir, "openclaw.mjs"), 0o755); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(env.Vars["PATH"], "openclaw")
	if err := os.Symlink(filepath.Join(dir, "openclaw.mjs"), link); err != nil {
		t.Fatal(err)
	}
	node := filepath.Join(env.Vars["PATH"], "node")
	writeFile(t, node, "")
	if err := os.Chmod(node, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}
