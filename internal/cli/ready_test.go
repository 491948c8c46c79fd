package cli

import (
	"path/filepath"
	"testing"
)

func TestTheUsualReadyFileIsInTheFirstFolderThatCanBeWritten(t *testing.T) {
	first, second := t.TempDir(), t.TempDir()
	for _, c := range []struct {
		folders []string
		want    string
	}{
		{[]string{first, second}, filepath.Join(first, "bootstrap.ready")},
		{[]string{"/proc/nowhere", second}, filepath.Join(second, "bootstrap.ready")},
		{[]string{"/proc/nowhere", "/proc/nowhere/either"}, ""},
	} {
		if got := usualReadyFile(c.folders...); got != c.want {
			t.Errorf("of %q: got %q, want %q", c.folders, got, c.want)
		}
	}
}
