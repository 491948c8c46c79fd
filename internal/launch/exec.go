package launch

import "syscall"

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
