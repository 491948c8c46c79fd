package gatewaytest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// coverDir is Go's name for the directory in which a program that was built with
// -cover leaves what it reached. Where it is set, ours is built so, and told of it.
const coverDir = "GOCOVERDIR"

// givenProgram names a program that is tested in place of one built here.
const givenProgram = "BOOTSTRAP_PROGRAM"

// One build a test process.
var build = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "gatewaytest-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "bootstrap")
	args := []string{"build", "-o", path}
	if os.Getenv(coverDir) != "" {
		args = append(args, "-cover", "-coverpkg", "github.com/reflectt/bootstrap/internal/...,github.com/reflectt/bootstrap/cmd/...")
	}
	cmd := exec.Command("go", append(args, "github.com/reflectt/bootstrap/cmd/bootstrap")...)
	// As it is shipped, also when the tests themselves run under -race.
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		_ = os.RemoveAll(dir)
		return "", fmt.Errorf("cannot build bootstrap: %w\n%s", err, out)
	}
	return path, nil
})

// Bootstrap builds the program and returns its path.
func Bootstrap(t testing.TB) string {
	t.Helper()
	if path := os.Getenv(givenProgram); path != "" {
		return path
	}
	path, err := build()
	if err != nil {
		t.Fatal(err)
	}
	getJanitor(t).tell("directory " + filepath.Dir(path))
	return path
}

// RunBootstrap runs bootstrap to its end; the command's Argv holds only its
// arguments. The environment has nothing in it but what the command says.
func RunBootstrap(t testing.TB, c Command) Result {
	t.Helper()
	c.Argv = append([]string{Bootstrap(t)}, c.Argv...)
	return Run(t, c)
}
