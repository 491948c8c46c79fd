package entrypoint

import (
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

func TestTheUsualReadyFileIsWhereNobodyElseCanHaveMadeIt(t *testing.T) {
	run, temp := t.TempDir(), t.TempDir()
	inTemp := filepath.Join(temp, "bootstrap-"+strconv.Itoa(os.Geteuid()), "bootstrap.ready")
	for _, c := range []struct{ run, temp, want string }{
		{run, temp, filepath.Join(run, "bootstrap.ready")},
		{"/proc/nowhere", temp, inTemp},
		{"/proc/nowhere", temp, inTemp}, // its directory is there already
		{"/proc/nowhere", "/proc/nowhere/either", ""},
	} {
		if got := usualReadyFile(c.run, c.temp); got != c.want {
			t.Errorf("of %s, %s: got %q, want %q", c.run, c.temp, got, c.want)
		}
	}
	info, err := os.Lstat(filepath.Dir(inTemp))
	if err != nil || info.Mode() != os.ModeDir|0o700 {
		t.Errorf("its directory: %v, %v", info, err)
	}
}
