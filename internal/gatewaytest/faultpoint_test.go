package gatewaytest_test

import (
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// changesFiles lists the system calls that can change what a disk holds.
func changesFiles() map[uint64]bool {
	calls := map[uint64]bool{}
	for _, call := range []uint64{
		unix.SYS_OPENAT, unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_FTRUNCATE,
		unix.SYS_FALLOCATE, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2,
		unix.SYS_LINKAT, unix.SYS_UNLINKAT, unix.SYS_MKDIRAT, unix.SYS_FCHMOD, unix.SYS_FCHMODAT,
		unix.SYS_FCHOWN, unix.SYS_FCHOWNAT,
	} {
		calls[call] = true
	}
	if runtime.GOARCH == "amd64" {
		// open, rename, mkdir, link, unlink, chmod: code translated from C, as
		// SQLite's is here, makes the old ones, which other machines do not have.
		for _, call := range []uint64{2, 82, 83, 86, 87, 90} {
			calls[call] = true
		}
	}
	return calls
}

// killBeforeCall runs a command to just before its nth call that can change a
// file, and kills it there; false where it ended with fewer. A kill after some
// time hits a window of microseconds by luck only; with the calls always in the
// same order, for which GOMAXPROCS=1 is, this misses none.
func killBeforeCall(t *testing.T, cmd *exec.Cmd, n int) bool {
	t.Helper()
	calls := changesFiles()
	return killAtCall(t, cmd, func(call systemCall) bool {
		if call.isOne(calls) {
			n--
		}
		return n == 0
	})
}

// systemCall is one that a stopped thread is about to make.
type systemCall struct {
	tid    int
	number uint64
	args   [6]uint64
}

// killAtCall runs a command, stops it before each of its system calls, and kills
// it before the first of which isThere says so; false where it ended without. A test
// that uses it is not parallel: this thread may have started another test's program
// before, and would take its end for itself.
func killAtCall(t *testing.T, cmd *exec.Cmd, isThere func(systemCall) bool) bool {
	t.Helper()
	// A tracer is a thread. No other one may wait for its children, and it must
	// wait for nobody else's: hence __WNOTHREAD.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	null := must(os.OpenFile(os.DevNull, os.O_RDWR, 0))(t)
	defer func() { _ = null.Close() }()
	pid := must(syscall.ForkExec(cmd.Path, cmd.Args, &syscall.ProcAttr{
		Env: append(cmd.Env, "GOMAXPROCS=1"), Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	}))(t)
	seen, killed := map[int]bool{}, false
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			t.Fatal(err)
		case !status.Stopped():
			if tid != pid {
				continue // a thread
			}
			if !killed && status.ExitStatus() != 0 {
				t.Errorf("traced, it ended with %d", status.ExitStatus())
			}
			return killed
		}
		var pass syscall.Signal
		switch signal := status.StopSignal(); {
		case !seen[tid]: // after exec, or a new thread
			if seen[tid] = true; tid == pid {
				options := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_EXITKILL
				if err := unix.PtraceSetOptions(pid, options); err != nil {
					t.Fatal(err)
				}
			}
		case signal == syscall.SIGTRAP|0x80:
			if call, enters := entered(tid); enters && !killed && isThere(call) {
				killed = true
				_ = unix.Kill(pid, unix.SIGKILL)
				continue
			}
		case signal != syscall.SIGTRAP:
			pass = signal
		}
		_ = unix.PtraceSyscall(tid, int(pass)) // a thread that was just killed is fine
	}
}

// entered is the call that a stopped thread is about to make; false where it
// comes back from one.
func entered(tid int) (systemCall, bool) {
	var info struct { // struct ptrace_syscall_info
		op     uint8
		arch   uint32
		ip, sp uint64
		number uint64
		args   [6]uint64
	}
	const entry = 1
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO,
		uintptr(tid), unsafe.Sizeof(info), uintptr(unsafe.Pointer(&info)), 0, 0)
	return systemCall{tid, info.number, info.args}, errno == 0 && info.op == entry
}

// isOne tells whether it is one of the calls, and not one that writes to people
// or opens a file for reading.
func (c systemCall) isOne(calls map[uint64]bool) bool {
	switch c.number {
	case unix.SYS_WRITE:
		return calls[c.number] && c.args[0] > 2
	case unix.SYS_OPENAT:
		return calls[c.number] && c.args[2]&(unix.O_ACCMODE|unix.O_CREAT) != 0
	}
	return calls[c.number]
}
