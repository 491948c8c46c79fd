package gateway

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// ExecProblem says why a command cannot be run, in the words of a shell's codes.
type ExecProblem int

const (
	ExecOK            ExecProblem = 0
	ExecNotExecutable ExecProblem = 126 // found, but not a file that anybody may execute
	ExecNotFound      ExecProblem = 127
)

// findExecutable does what execvp does: a name with a slash is a path, any other
// is looked for in PATH, where an empty entry is the working directory.
func findExecutable(name string, env Environment) (string, ExecProblem) {
	if name == "" {
		return "", ExecNotFound
	}
	if strings.Contains(name, "/") {
		path := resolvePath(env.Dir, name)
		return pathIfOK(path, checkExecutable(path))
	}
	worst := ExecNotFound
	for _, dir := range filepath.SplitList(env.Vars["PATH"]) {
		path := filepath.Join(resolvePath(env.Dir, dir), name)
		switch checkExecutable(path) {
		case ExecOK:
			return path, ExecOK
		case ExecNotExecutable:
			worst = ExecNotExecutable
		}
	}
	return "", worst
}

func pathIfOK(path string, problem ExecProblem) (string, ExecProblem) {
	if problem != ExecOK {
		return "", problem
	}
	return path, ExecOK
}

// checkExecutable looks at the mode bits alone: who will run the command is not
// settled yet, and root's own rights would hide a missing bit.
func checkExecutable(path string) ExecProblem {
	info, err := os.Stat(path)
	switch {
	case os.IsPermission(err):
		return ExecNotExecutable
	case err != nil:
		return ExecNotFound
	case info.Mode().IsDir() || info.Mode()&0o111 == 0 || info.Mode()&fs.ModeType != 0:
		return ExecNotExecutable
	}
	return ExecOK
}
