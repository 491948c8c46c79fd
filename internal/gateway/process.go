package gateway

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is a gateway that runs.
type Process struct {
	PID  int
	Port int // 0 where its arguments do not say, or are not shown any more
}

// Running tells whether a process that this one can see looks like an OpenClaw
// gateway on a state folder: one that boots already, and does not listen yet.
// Once it runs, the program is named "openclaw" or "openclaw-gateway" in place
// of its arguments (2026.5.28 to 2026.9.6), as its CLI is. Processes of other
// users are not looked at.
func Running(stateDir string) bool {
	_, running := Serving(stateDir)
	return running
}

// Serving is the process that [Running] speaks of.
func Serving(stateDir string) (Process, bool) {
	folder, err := os.Stat(stateDir)
	if err != nil {
		return Process{}, false
	}
	processes, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		return Process{}, false
	}
	for _, process := range processes {
		serves, port, known := processStateDir(process)
		if !known {
			continue
		}
		// Seen with its eyes: it may live in a container.
		other, err := os.Stat(filepath.Join(process, "root", serves))
		if err == nil && os.SameFile(folder, other) {
			pid, _ := strconv.Atoi(filepath.Base(process))
			return Process{PID: pid, Port: port}, true
		}
	}
	return Process{}, false
}

// processStateDir is the state folder of a gateway, in its own root, and the port
// that it was given; known is false where a process is none.
func processStateDir(process string) (dir string, port int, known bool) {
	argv := nulSeparated(filepath.Join(process, "cmdline"))
	if len(argv) == 0 || !strings.Contains(strings.Join(argv, " "), packageName) {
		return "", 0, false // most processes, at the price of one read
	}
	env := Environment{Vars: map[string]string{}}
	for _, pair := range nulSeparated(filepath.Join(process, "environ")) {
		if name, value, ok := strings.Cut(pair, "="); ok {
			env.Vars[name] = value
		}
	}
	if len(env.Vars) == 0 {
		return "", 0, false // another user's
	}
	env.Dir, _ = os.Readlink(filepath.Join(process, "cwd"))
	command := ParseCommand(argv, env)
	titled := len(argv) == 1 && (argv[0] == packageName || argv[0] == packageName+"-gateway")
	if !command.Understood && !titled {
		return "", 0, false
	}
	return StateDir(env, command.Profile, Release{}), command.Port, true
}

// nulSeparated reads the strings of a file of /proc; a title that replaces the
// arguments leaves empty ones behind.
func nulSeparated(path string) (values []string) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil // gone, or another user's
	}
	return strings.FieldsFunc(string(data), func(r rune) bool { return r == 0 })
}
