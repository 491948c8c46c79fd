//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tracer runs one command and stops each of its threads at every system call. It
// counts the calls of the whole process, for goroutines move between threads.
type tracer struct {
	root    string
	specs   map[uint64]spec
	inject  *injection
	pid     int
	seen    map[int]bool
	pending map[int]*pending
	killed  bool
	calls   []call
	stopped func(call) error
	err     error
}

// pending is a call that a thread has entered and not left.
type pending struct {
	call
	fail      syscall.Errno
	killAfter bool
}

// ran is how a traced command ended, and what it did.
type ran struct {
	code           int // 128+n where signal n ended it
	stdout, stderr string
	calls          []call
	hit            bool
}

// program is what is run.
type program struct {
	path string
	args []string
	env  []string
	root string // the volume, with all that the run may change
	dir  string // for what it prints
	// stopped is called while a call that is no mere look is about to be made.
	stopped func(call) error
}

// patience is how long a command may take before it is taken for one that hangs.
const patience = 3 * time.Minute

// trace runs a program, and does to it what inject says; nil does nothing.
func (p program) trace(inject *injection) (result ran, err error) {
	// A tracer is a thread. No other one may wait for its children, and it must
	// wait for nobody else's: hence __WNOTHREAD.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	files, err := p.files()
	if err != nil {
		return result, err
	}
	t := &tracer{root: p.root, specs: specs(), inject: inject, seen: map[int]bool{}, pending: map[int]*pending{}, stopped: p.stopped}
	t.pid, err = syscall.ForkExec(p.path, append([]string{p.path}, p.args...), &syscall.ProcAttr{
		Env: append([]string{"GOMAXPROCS=1"}, p.env...), Dir: p.root,
		Files: []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()},
		Sys:   &syscall.SysProcAttr{Ptrace: true},
	})
	for _, file := range files {
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return result, err
	}
	hung := time.AfterFunc(patience, func() { _ = unix.Kill(t.pid, unix.SIGABRT) })
	defer hung.Stop()
	if result.code, err = t.loop(); err != nil || t.err != nil {
		return result, errors.Join(err, t.err)
	}
	result.calls, result.hit = t.calls, inject != nil && inject.hit
	result.stdout, result.stderr, err = p.printed()
	return result, err
}

func (p program) files() (files [3]*os.File, err error) {
	if files[0], err = os.Open(os.DevNull); err != nil {
		return files, err
	}
	for i, name := range []string{"stdout", "stderr"} {
		if files[i+1], err = os.OpenFile(filepath.Join(p.dir, name), os.O_CREATE|os.O_TRUNC|os.O_APPEND|os.O_WRONLY, 0o600); err != nil {
			return files, err
		}
	}
	return files, nil
}

func (p program) printed() (stdout, stderr string, err error) {
	out, err := os.ReadFile(filepath.Join(p.dir, "stdout"))
	if err != nil {
		return "", "", err
	}
	log, err := os.ReadFile(filepath.Join(p.dir, "stderr"))
	return string(out), string(log), err
}

// loop waits for the threads, one stop after the other, until the process ends.
func (t *tracer) loop() (code int, err error) {
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
			continue
		case err != nil:
			return 0, fmt.Errorf("wait4: %w", err)
		case status.Exited() && tid == t.pid:
			return status.ExitStatus(), nil
		case status.Signaled() && tid == t.pid:
			return 128 + int(status.Signal()), nil
		case !status.Stopped():
			continue // a thread has ended
		}
		pass := 0
		switch signal := status.StopSignal(); {
		case !t.seen[tid]: // after the first exec, or a new thread
			if t.seen[tid] = true; tid == t.pid {
				options := unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL
				if err := unix.PtraceSetOptions(tid, options); err != nil {
					return 0, fmt.Errorf("ptrace: %w", err)
				}
			}
		case signal == syscall.SIGTRAP|0x80:
			if t.atCall(tid); t.killed {
				continue
			}
		case signal == syscall.SIGTRAP && status.TrapCause() == unix.PTRACE_EVENT_EXEC:
			// Nothing of bootstrap is left: what runs now is no concern of ours.
			if err := unix.PtraceDetach(tid); err != nil {
				return 0, fmt.Errorf("ptrace: %w", err)
			}
			continue
		case signal != syscall.SIGTRAP:
			pass = int(signal)
		}
		_ = unix.PtraceSyscall(tid, pass) // a thread that was just killed is fine
	}
}

// info is struct ptrace_syscall_info.
type info struct {
	op     uint8
	arch   uint32
	ip, sp uint64
	number uint64 // at the exit: the result
	args   [6]uint64
}

const (
	infoEntry = 1
	infoExit  = 2
)

// atCall is called when a thread enters a system call or comes back from one.
func (t *tracer) atCall(tid int) {
	var at info
	_, _, errno := unix.RawSyscall6(unix.SYS_PTRACE, unix.PTRACE_GET_SYSCALL_INFO,
		uintptr(tid), unsafe.Sizeof(at), uintptr(unsafe.Pointer(&at)), 0, 0)
	switch {
	case errno != 0:
	case at.op == infoEntry:
		if c, concerns := t.decode(tid, at.number, at.args); concerns {
			t.enter(tid, &pending{call: c})
		}
	case at.op == infoExit && t.pending[tid] != nil:
		t.leave(tid, t.pending[tid], int64(at.number))
	}
}

func (t *tracer) enter(tid int, p *pending) {
	t.pending[tid] = p
	if t.stopped != nil && killBefore.applies(p.call) {
		t.err = errors.Join(t.err, t.stopped(p.call))
	}
	if p.op == opReport {
		t.calls = append(t.calls, p.call) // what is true before it counts
	}
	switch act := t.inject.on(p.call); {
	case act.kill && !act.after:
		t.kill()
	case act.kill:
		p.killAfter = true
	case act.errno != 0:
		p.fail = act.errno
		t.change(tid, func(r *unix.PtraceRegs) { r.Orig_rax = ^uint64(0) }) // no call at all
	case act.short > 0:
		t.change(tid, func(r *unix.PtraceRegs) { r.Rdx = uint64(act.short) })
		p.data = p.data[:act.short]
	}
}

func (t *tracer) leave(tid int, p *pending, result int64) {
	delete(t.pending, tid)
	if p.fail != 0 {
		result = -int64(p.fail)
		t.change(tid, func(r *unix.PtraceRegs) { r.Rax = uint64(result) })
	}
	if p.result = result; p.op != opReport {
		t.calls = append(t.calls, p.call)
	}
	if p.killAfter {
		t.kill()
	}
}

func (t *tracer) change(tid int, edit func(*unix.PtraceRegs)) {
	var regs unix.PtraceRegs
	if unix.PtraceGetRegs(tid, &regs) == nil {
		edit(&regs)
		_ = unix.PtraceSetRegs(tid, &regs) // where it failed the trace shows no hit
	}
}

func (t *tracer) kill() {
	t.killed = true
	_ = unix.Kill(t.pid, unix.SIGKILL)
}
