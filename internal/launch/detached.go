package launch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// StartSession starts a program in a session of its own, with this process's
// standard error and nothing else. It stays our child: [AwaitEnd] has to follow.
func StartSession(path string, argv, env []string) (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer func() { _ = null.Close() }()
	pid, err = syscall.ForkExec(path, argv, &syscall.ProcAttr{
		Env: env, Files: []uintptr{null.Fd(), null.Fd(), 2}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, commandError(path, err)
	}
	return pid, nil
}

// AwaitEnd waits for a child, which it is an error for to end with another code
// than 0. It must not be called beside [Process.Run].
func AwaitEnd(pid int) error {
	var status syscall.WaitStatus
	for {
		_, err := syscall.Wait4(pid, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case err != nil:
			return fmt.Errorf("cannot wait for process %d: %w", pid, err)
		case status.ExitStatus() != 0:
			return fmt.Errorf("process %d ended with %d", pid, status.ExitStatus())
		default:
			return nil
		}
	}
}

// OnEnd calls ended, in a goroutine, once another process has ended.
func OnEnd(pid int, ended func()) error {
	fd, err := unix.PidfdOpen(pid, 0)
	switch {
	case errors.Is(err, unix.ESRCH):
		go ended()
		return nil
	case err != nil: // Linux before 5.3, or a seccomp profile that does not know the call
		return pollEnd(pid, ended)
	}
	go func() {
		defer func() { _ = unix.Close(fd) }()
		poll := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		for {
			if _, err := unix.Poll(poll, -1); !errors.Is(err, unix.EINTR) {
				ended()
				return
			}
		}
	}()
	return nil
}

// pollEnd is [OnEnd] by a file of the process, which cannot be read once it has ended,
// even if another one has its number then.
func pollEnd(pid int, ended func()) error {
	file, err := os.Open(fmt.Sprintf("/proc/%d/stat", pid))
	switch {
	case errors.Is(syscall.Kill(pid, 0), syscall.ESRCH):
		_ = file.Close()
		go ended()
		return nil
	case err != nil: // it may be hidden
		return fmt.Errorf("cannot watch process %d: %w", pid, err)
	}
	go func() {
		defer func() { _ = file.Close() }()
		for stat := make([]byte, 512); ; time.Sleep(time.Second) {
			n, _ := file.ReadAt(stat, 0)
			// Its state follows the name, which is in brackets and may have any in it.
			_, state, _ := bytes.Cut(stat[:n][max(0, bytes.LastIndexByte(stat[:n], ')')):], []byte(") "))
			if len(state) == 0 || state[0] == 'Z' || state[0] == 'X' {
				ended()
				return
			}
		}
	}()
	return nil
}
