package rights

import (
	"fmt"
	"os"
	"os/exec"
	"testing"

	"go.uber.org/goleak"
)

// The tests start this binary again as a helper process, which drops its rights.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "helper:prepare":
			os.Exit(prepareAsUser(os.Args[2:]))
		case "helper:drop":
			os.Exit(dropAndReport(os.Args[2:]))
		}
	}
	// Under -race every helper would sleep for a second at its end.
	if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

func self(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// arranged is an empty directory of root's in which a shell has done something.
func arranged(t *testing.T, script string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	setup := exec.Command("/bin/sh", "-ec", "umask 022; "+script)
	setup.Dir = dir
	if out, err := setup.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}
