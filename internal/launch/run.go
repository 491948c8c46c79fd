package launch

import (
	"syscall"
	"time"
)

// Run forwards signals and reaps until the child has ended. It is the only
// place in the program that waits for processes, so no exit code can be lost
// to somebody else's wait. It allocates nothing per signal or orphan.
func (p *Process) Run() Result {
	for !p.reap() {
		select {
		case <-p.signals.child:
		case sig := <-p.signals.forward:
			// Reaped first, so that what happened before the signal is known
			// before it: a stop before the CONT that is to end it.
			if number, ok := sig.(syscall.Signal); ok && !p.reap() {
				p.forward(number)
			}
		case sig := <-p.stops:
			if !p.reap() {
				p.forward(sig)
			}
		case <-p.expired:
			p.result.Killed = true
			_ = syscall.Kill(p.pid, syscall.SIGKILL)
		}
	}
	close(p.done)
	if p.deadline != nil {
		p.deadline.Stop()
	}
	p.terminal.takeBack()
	p.release()
	return p.result
}

// forward passes a signal on. The child cannot have been reaped yet, so its pid
// is its own; that it may just have ended is no error.
func (p *Process) forward(sig syscall.Signal) {
	if terminates(sig) && p.told.CompareAndSwap(false, true) {
		close(p.asked)
	}
	if terminates(sig) && p.stopTimeout > 0 && p.deadline == nil {
		p.deadline = time.NewTimer(p.stopTimeout)
		p.expired = p.deadline.C
	}
	switch passed := translate(sig, p.restart); {
	case passed == 0:
	case passed == syscall.SIGCONT && p.terminal != nil:
		p.terminal.continued()
	case forGroup(passed):
		_ = syscall.Kill(-p.pid, passed)
	default:
		_ = syscall.Kill(p.pid, passed)
	}
}

// reap collects everything that has ended, and says whether the child has.
// Orphans that ended together with it are still collected.
func (p *Process) reap() bool {
	options := syscall.WNOHANG
	if p.terminal != nil {
		options |= syscall.WUNTRACED
	}
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, options, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil || pid <= 0: // ECHILD, or nobody else has ended
			return p.ended
		case status.Stopped():
			if pid == p.pid {
				p.terminal.childStopped(status.StopSignal())
			}
		case pid == p.pid:
			p.ended = true
			p.result.Code = exitCode(status)
		case p.jobs.finish(pid, status):
		default:
			p.result.Orphans++
			if p.orphans != nil {
				p.orphans.Add(1)
			}
		}
	}
}

// exitCode is what a shell would say: the code, or 128 and the signal.
func exitCode(status syscall.WaitStatus) int {
	if status.Signaled() {
		return 128 + int(status.Signal())
	}
	return status.ExitStatus()
}
