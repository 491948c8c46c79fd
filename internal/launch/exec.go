package launch

import (
	"os/signal"
	"syscall"
)

// Exec replaces this process by the command and returns only if that failed,
// with a *CommandError. The command is found through the PATH in env.
//
// It lets go of every signal that anyone in the program has asked for, so that
// a SIGHUP ignored by nohup is ignored again. The soft limit on open files,
// which Go raises at start, is put back by syscall.Exec.
func Exec(command string, argv, env []string) error {
	path, err := Find(command, env)
	if err != nil {
		return err
	}
	signal.Reset()
	return commandError(path, syscall.Exec(path, argv, env))
}
