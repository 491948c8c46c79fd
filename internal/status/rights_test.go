package status

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestALinkInPlaceOfAnyFileOfTheDatabaseIsTold(t *testing.T) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		dir := t.TempDir()
		path := filepath.Join(dir, "state", "openclaw.sqlite"+suffix)
		if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("elsewhere", path); err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(rightsFindings(dir), func(f Finding) bool { return strings.HasPrefix(f.What, path+" is a symbolic link") }) {
			t.Errorf("%s is not told", path)
		}
	}
}
