package gateway

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/reflectt/bootstrap/internal/shell"
)

// findExecutable is the absolute path of a program; empty where none can be run.
func findExecutable(name string, env Environment) string {
	found := name
	if !strings.Contains(name, "/") {
		found, _ = shell.FindProgram(name, filepath.SplitList(env.Vars["PATH"]), func(path string) error { return isExecutable(resolvePath(env.Dir, path)) })
	}
	if found = resolvePath(env.Dir, found); isExecutable(found) != nil {
		return ""
	}
	return found
}

// isExecutable looks at the mode bits alone: who will run the command is not
// settled yet, and root's own rights would hide a missing bit.
func isExecutable(path string) error {
	info, err := os.Stat(path)
	if err == nil && (!info.Mode().IsRegular() || info.Mode()&0o111 == 0) {
		err = fs.ErrPermission
	}
	return err
}
