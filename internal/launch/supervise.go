package launch

import (
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Options describe the child.
type Options struct {
	// Command is a path, or a name that is looked up in the PATH of Env.
	Command string
	// Argv is passed as it is, Argv[0] included.
	Argv []string
	Env  []string
	// RestartSignal is SIGUSR1 or SIGUSR2 where the release is known to restart
	// on it; 0 swallows both.
	RestartSignal syscall.Signal
	// StopTimeout, counted from the first terminating signal, ends in SIGKILL
	// for the child. 0 means never.
	StopTimeout time.Duration
	// Signals that have been held since an earlier Catch; they stay caught to the
	// end of the program, so that one more cannot change its exit code.
	Signals *Signals
	// Orphans, if set, counts the other processes reaped, while Run runs.
	Orphans *atomic.Int64
}

// Process is the supervised child. Run must be called, once; Stop and Pid may
// be called from any goroutine.
type Process struct {
	pid         int
	restart     syscall.Signal
	stopTimeout time.Duration
	signals     *Signals
	terminal    *terminal // nil when stdin is not our controlling terminal
	subreaper   bool      // we made ourselves one
	stops       chan syscall.Signal
	told        atomic.Bool   // a terminating signal was passed on
	asked       chan struct{} // closed with told
	jobs        jobs
	done        chan struct{}
	deadline    *time.Timer      // nil until somebody wants the child to end
	expired     <-chan time.Time // the timer's, nil likewise
	ended       bool             // reaped; the pid may be another's now
	orphans     *atomic.Int64    // nil where nobody wants to know
	result      Result
}

// Result is how the child ended.
type Result struct {
	// Code is the child's exit code, or 128+n when signal n ended it.
	Code int
	// Killed says that StopTimeout passed and we sent SIGKILL.
	Killed bool
	// Orphans counts the other processes reaped.
	Orphans int
}

// Start starts the child. Errors are *CommandError when it cannot be run, and
// *StoppedError when a terminating signal came first; one that comes a moment
// later is forwarded as soon as Run runs.
//
// From Start to the end of Run no other code in the program may wait for
// children, so none may use os/exec: Run would take the exit code away.
func Start(options Options) (*Process, error) {
	p := &Process{
		restart:     options.RestartSignal,
		stopTimeout: options.StopTimeout,
		signals:     options.Signals,
		orphans:     options.Orphans,
		stops:       make(chan syscall.Signal, 1),
		asked:       make(chan struct{}),
		jobs:        jobs{running: map[int]chan<- syscall.WaitStatus{}},
		done:        make(chan struct{}),
	}
	p.signals.catchAll()
	path, err := Find(options.Command, options.Env)
	if err != nil {
		return nil, err
	}
	p.subreaper = becomeSubreaper()
	if sig, stopped := p.signals.Stopped(); stopped {
		p.release()
		return nil, &StoppedError{Signal: sig}
	}
	hideMemory()
	p.terminal = controllingTerminal()
	// syscall.ForkExec, not os/exec: Run alone may wait for children.
	p.pid, err = syscall.ForkExec(path, options.Argv, &syscall.ProcAttr{
		Env:   options.Env,
		Files: []uintptr{0, 1, 2},
		Sys: &syscall.SysProcAttr{
			Setpgid: true,
			// Fails where stdin is no terminal, so it is only asked for where we
			// can give ours away. Done in the child before it runs: a shell that
			// found itself in the background would stop.
			Foreground: p.terminal.isOurs(),
			Ctty:       stdin,
		},
	})
	p.terminal.givenTo(p.pid)
	if err != nil {
		p.terminal.takeBack()
		p.release()
		return nil, commandError(path, err)
	}
	// Behind the fork, which says clearly that there is no process left; a program
	// that has just been started has not used them up.
	reserveThreads()
	return p, nil
}

// Pid of the child, which is also its process group.
func (p *Process) Pid() int { return p.pid }

// Stopping tells whether the child has been told to end.
func (p *Process) Stopping() bool { return p.told.Load() }

// Asked is closed when the child is told to end.
func (p *Process) Asked() <-chan struct{} { return p.asked }

// Stop asks for the child to get a signal, by the same rules as one that came
// from outside. It does not wait for the child to end; after that it does
// nothing.
func (p *Process) Stop(sig syscall.Signal) {
	select {
	case p.stops <- sig:
	case <-p.done:
	}
}

// release undoes what Start changed in this process.
func (p *Process) release() {
	if p.subreaper {
		_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0)
	}
}

// becomeSubreaper makes orphaned grandchildren ours, which PID 1 has anyway. A
// kernel that refuses costs nothing but their reaping by somebody else.
func becomeSubreaper() bool {
	return os.Getpid() != 1 && unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == nil
}

// hideMemory keeps others of the same uid from reading this process: its memory,
// and the environment it was started with, which may hold a key that the
// gateway is not given. execve ends it for the child.
func hideMemory() {
	_ = unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) // fails for no kernel
}

// An init needs few threads: those that run at the same time, and those that wait in
// the kernel for a disk, a full log, a signal or the network. Under a storm of
// requests, with the log full, two that wait were enough.
const (
	mostRunning = 4
	mostWaiting = 8
)

// reserveThreads makes the threads that are needed later, for the Go runtime ends
// the program where it cannot have one, and a gateway may have used up the processes
// by then. Go keeps threads that have nothing to do.
func reserveThreads() {
	if runtime.GOMAXPROCS(0) > mostRunning {
		runtime.GOMAXPROCS(mostRunning)
	}
	// A goroutine that is locked to its thread shares it with no other.
	var locked, left sync.WaitGroup
	leave := make(chan struct{})
	for range runtime.GOMAXPROCS(0) + mostWaiting {
		locked.Add(1)
		left.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			locked.Done()
			<-leave
		})
	}
	locked.Wait()
	close(leave)
	left.Wait()
}
