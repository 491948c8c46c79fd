package launch

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/shell"
)

// Exit codes that shells and container runtimes use for a command that never ran.
const (
	CodeCannotRun = 126
	CodeNotFound  = 127
)

// CommandError says that the command could not be started. Code is
// CodeCannotRun or CodeNotFound.
type CommandError struct {
	Code int
	Path string
	Err  error
}

func (e *CommandError) Error() string {
	if errors.Is(e.Err, syscall.ENOENT) && strings.Contains(e.Path, "/") && exists(e.Path) {
		return fmt.Sprintf("cannot run %s: its interpreter is missing: %v", e.Path, e.Err)
	}
	if why := e.exhausted(); why != "" {
		return fmt.Sprintf("cannot run %s: %s: %v", e.Path, why, e.Err)
	}
	return fmt.Sprintf("cannot run %s: %v", e.Path, e.Err)
}

// ExitCode is what a shell would end with.
func (e *CommandError) ExitCode() int { return e.Code }

// Exhausted says that the program is fine, and that something was used up which
// starting it takes.
func (e *CommandError) Exhausted() bool { return e.exhausted() != "" }

func (e *CommandError) exhausted() string {
	switch {
	case errors.Is(e.Err, syscall.EAGAIN):
		return "no process is left for it"
	case errors.Is(e.Err, syscall.EMFILE), errors.Is(e.Err, syscall.ENFILE):
		return "no file descriptor is left for starting it"
	case errors.Is(e.Err, syscall.ENOMEM):
		return "no memory is left for it"
	case errors.Is(e.Err, syscall.E2BIG):
		return "its arguments and environment are too long"
	}
	return ""
}

func (e *CommandError) Unwrap() error { return e.Err }

// commandError maps an error of execve. What is not there is 127; everything
// else, from a missing x bit to a foreign binary, is 126.
func commandError(path string, err error) *CommandError {
	code := CodeCannotRun
	if errors.Is(err, syscall.ENOENT) || errors.Is(err, syscall.ENOTDIR) {
		code = CodeNotFound
	}
	return &CommandError{Code: code, Path: path, Err: err}
}

// Find resolves a command as execvp does, through the PATH in env (not our
// own). A command with a slash is returned as it is: only execve can judge it.
// Any error is a *CommandError.
func Find(command string, env []string) (string, error) {
	if strings.Contains(command, "/") {
		return command, nil
	}
	path, err := shell.FindProgram(command, searchPath(env), executable)
	switch {
	case err == nil:
		return path, nil
	case command == "":
		command = `""`
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = syscall.ENOENT
	}
	return "", commandError(command, err)
}

func executable(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return syscall.ENOENT
	}
	return unix.Faccessat(unix.AT_FDCWD, path, unix.X_OK, unix.AT_EACCESS)
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// searchPath is the PATH in env, the first one, as getenv reads it; without one
// it is what execvp falls back to.
func searchPath(env []string) []string {
	for _, entry := range env {
		if value, found := strings.CutPrefix(entry, "PATH="); found {
			return filepath.SplitList(value)
		}
	}
	return []string{"/bin", "/usr/bin"}
}

// Exec replaces this process by the command and returns only if that failed,
// with a *CommandError. The command is found through the PATH in env.
//
// Release the signals first: those that are caught get their defaults, and a
// SIGHUP that nohup ignores stays ignored. The soft limit on open files, which
// Go raises at start, is put back by syscall.Exec.
func Exec(command string, argv, env []string) error {
	path, err := Find(command, env)
	if err != nil {
		return err
	}
	return commandError(path, syscall.Exec(path, argv, env))
}
