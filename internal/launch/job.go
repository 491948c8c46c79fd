package launch

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Job is a program that runs to its end before the gateway or beside it. It is in
// a session of its own, so that a signal for the gateway's terminal does not reach
// it, and all that it starts can be told to end. Its input is empty.
type Job struct {
	// Path is run as it is, without a search in PATH.
	Path string
	// Argv is passed as it is, Argv[0] included.
	Argv []string
	Env  []string
	// Output takes what it writes to both of its outputs.
	Output *os.File
	// Grace is how long it may take to end when its context has, before SIGKILL.
	Grace time.Duration
	// adopts: what is left running by a job that is told to end is reaped here, whoever is
	// PID 1. What another one leaves is not: it would stay with a gateway that takes our place.
	adopts bool
}

// JobResult is how a job ended.
type JobResult struct {
	// Code is its exit code, or 128+n when signal n ended it.
	Code int
	// Told says that the context ended first: the job's processes got SIGTERM.
	Told bool
	// Killed says that Grace passed, too, and they got SIGKILL.
	Killed bool
}

// RunJob runs a job while there is no child that anybody else waits for: before
// [Start]. It reaps whatever ends meanwhile, orphans of the job included, as PID 1
// has to. Errors are a *CommandError.
func RunJob(ctx context.Context, job Job) (JobResult, error) {
	hideMemory()
	job.adopts = true
	pid, err := job.start()
	if err != nil {
		return JobResult{}, err
	}
	return job.await(ctx, pid, reapUntil(pid, -1), nil), nil
}

// RunJob runs a job beside the child, while Run runs in another goroutine: that one
// reaps it. A job that still runs when the child has ended is told to end, and
// waited for as long as its grace lasts. Errors are a *CommandError.
func (p *Process) RunJob(ctx context.Context, job Job) (JobResult, error) {
	ended := make(chan syscall.WaitStatus, 1)
	p.jobs.Lock()
	// Under the lock: it may have ended, and been reaped, before its pid is known here.
	pid, err := job.start()
	if err == nil {
		p.jobs.running[pid] = ended
	}
	p.jobs.Unlock()
	if err != nil {
		return JobResult{}, err
	}
	return job.await(ctx, pid, ended, p.done), nil
}

// start begins a session with the job in it.
func (j Job) start() (pid int, err error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDONLY, 0)
	if err != nil {
		return 0, commandError(j.Path, err)
	}
	defer func() { _ = null.Close() }()
	pid, err = syscall.ForkExec(j.Path, j.Argv, &syscall.ProcAttr{
		Env: j.Env, Files: []uintptr{null.Fd(), j.Output.Fd(), j.Output.Fd()}, Sys: &syscall.SysProcAttr{Setsid: true},
	})
	if err != nil {
		return 0, commandError(j.Path, err)
	}
	return pid, nil
}

// await waits for the end, and brings it about when the context ends. gone is closed
// where whoever reaps has stopped; from then on nobody else waits for children.
func (j Job) await(ctx context.Context, pid int, ended <-chan syscall.WaitStatus, gone <-chan struct{}) (result JobResult) {
	over, undo := ctx.Done(), func() {}
	defer func() { undo() }()
	var kill <-chan time.Time
	tell := func() {
		if !result.Told {
			result.Told, over = true, nil
			if j.adopts && becomeSubreaper() {
				undo = func() { _ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 0, 0, 0, 0) }
			}
			_ = syscall.Kill(-pid, syscall.SIGTERM)
			kill = time.After(j.Grace)
		}
	}
	for {
		select {
		case status := <-ended:
			result.Code = exitCode(status)
			if result.Told && !result.Killed {
				result.Killed = awaitGroup(pid, kill)
			}
			return result
		case <-over:
			tell()
		case <-gone:
			select {
			case status := <-ended: // reaped just before
				result.Code = exitCode(status)
				return result
			default:
			}
			gone, ended = nil, reapUntil(pid, pid)
			tell()
		case <-kill:
			result.Killed = true
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// awaitGroup waits for what a job has left running, which was told to end, too, and
// tells whether SIGKILL was needed.
func awaitGroup(pid int, kill <-chan time.Time) (killed bool) {
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for syscall.Kill(-pid, 0) == nil {
		select {
		case <-look.C:
			// They are our children now; beside Run that one reaps them, too.
			_, _ = syscall.Wait4(-pid, nil, syscall.WNOHANG, nil)
		case <-kill:
			_ = syscall.Kill(-pid, syscall.SIGKILL)
			return true
		}
	}
	return false
}

// reapUntil waits for children, of which pid is one, until that one has ended.
func reapUntil(pid, which int) <-chan syscall.WaitStatus {
	ended := make(chan syscall.WaitStatus, 1)
	go func() {
		for {
			var status syscall.WaitStatus
			got, err := syscall.Wait4(which, &status, 0, nil)
			if got == pid || err != nil && !errors.Is(err, syscall.EINTR) {
				ended <- status
				return
			}
		}
	}()
	return ended
}

// jobs are those that run beside the child, by pid.
type jobs struct {
	sync.Mutex
	running map[int]chan<- syscall.WaitStatus
}

// finish tells whoever waits for a job that it was reaped; false where the process
// was none.
func (j *jobs) finish(pid int, status syscall.WaitStatus) bool {
	j.Lock()
	defer j.Unlock()
	ended, isJob := j.running[pid]
	if isJob {
		delete(j.running, pid)
		ended <- status
	}
	return isJob
}
