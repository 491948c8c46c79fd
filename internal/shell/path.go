package shell

import (
	"errors"
	"io/fs"
)

// FindProgram looks for a program by its name as execvp does: in the directories
// of PATH, where an empty entry is the working directory. judge says what is wrong
// with a candidate. A program that may not be run counts only where there is no other.
func FindProgram(name string, path []string, judge func(candidate string) error) (string, error) {
	why := fs.ErrNotExist
	if name == "" {
		return "", why
	}
	for _, dir := range path {
		if dir == "" {
			dir = "."
		}
		candidate := dir + "/" + name // not filepath.Join: "./x" must keep its slash
		err := judge(candidate)
		if err == nil {
			return candidate, nil
		}
		if errors.Is(err, fs.ErrPermission) {
			why = err
		}
	}
	return "", why
}
