package rights

import (
	"errors"
	"os"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// firstExtra is the first descriptor that is not stdin, stdout or stderr.
const firstExtra = 3

// closeExtraOnExec keeps what root was started with open from the command. Here
// the descriptors stay usable: a secret may be named as /dev/fd/63. Kernels
// before 5.11 cannot mark them all at once.
func closeExtraOnExec() error {
	if unix.CloseRange(firstExtra, ^uint(0)>>1, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return nil
	}
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if fd, err := strconv.Atoi(entry.Name()); err == nil && fd >= firstExtra {
			unix.CloseOnExec(fd) // the directory's own is closed by now, which is no harm
		}
	}
	return nil
}

// clearBoundingSet takes every capability away for good, also from a setuid
// program. Without CAP_SETPCAP the set stays as whoever left that out wanted it;
// no_new_privs then holds alone.
func clearBoundingSet() error {
	for number := uintptr(0); ; number++ {
		there, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, number, 0, 0, 0)
		if err != nil {
			return nil // EINVAL: beyond the kernel's last
		}
		if there == 0 {
			continue
		}
		err = onEveryThread(unix.SYS_PRCTL, unix.PR_CAPBSET_DROP, number, 0)
		if errors.Is(err, syscall.EPERM) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// clearInheritable empties the set that a program with inheritable file
// capabilities could take up. The ambient set goes with it.
func clearInheritable() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var data [2]unix.CapUserData
	if err := unix.Capget(&header, &data[0]); err != nil {
		return err
	}
	data[0].Inheritable, data[1].Inheritable = 0, 0
	return onEveryThread(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&data[0])), 0)
}

// forbidNewPrivileges makes execve grant nothing that its caller has not.
func forbidNewPrivileges() error {
	return onEveryThread(unix.SYS_PRCTL, unix.PR_SET_NO_NEW_PRIVS, 1, 0)
}

// onEveryThread makes a system call on all threads, as the kernel keeps
// capabilities and no_new_privs by thread. Only a program without cgo can, which
// the shipped one is; tests under the race detector have to do with this thread.
//
//go:uintptrescapes
func onEveryThread(trap, a1, a2, a3 uintptr) error {
	_, _, errno := syscall.AllThreadsSyscall(trap, a1, a2, a3)
	if errno == syscall.ENOTSUP {
		_, _, errno = syscall.RawSyscall(trap, a1, a2, a3)
	}
	if errno != 0 {
		return errno
	}
	return nil
}
