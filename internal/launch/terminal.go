package launch

import (
	"errors"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const stdin = 0

// terminal is the controlling terminal on stdin and who may read from it. All
// methods work on nil, which is "there is none".
type terminal struct {
	own     int  // our process group
	child   int  // the child's, 0 before it is started
	stopped bool // the child, and nobody has resumed it yet
}

// controllingTerminal is nil unless stdin is the terminal of our session: a
// pipe, a file, and somebody else's terminal all answer ENOTTY.
func controllingTerminal() *terminal {
	if _, err := foregroundGroup(); err != nil {
		return nil
	}
	return &terminal{own: unix.Getpgrp()}
}

// isOurs says whether our group is the one in the foreground. When somebody
// started us in the background the terminal is not ours to give.
func (t *terminal) isOurs() bool {
	if t == nil {
		return false
	}
	group, err := foregroundGroup()
	return err == nil && group == t.own
}

// givenTo notes who the child is. From now on we are the ones in the
// background, and a line of log must not stop us when the user has set
// `stty tostop`; so SIGTTOU is ignored, after the fork so that the child does
// not inherit it. Go cannot set it back to default, which is why one program
// supervises one child on a terminal.
func (t *terminal) givenTo(child int) {
	if t == nil {
		return
	}
	t.child = child
	signal.Ignore(syscall.SIGTTOU)
}

// give hands the foreground on to the child if it is ours: a shell that resumes
// us with `fg` gives it to us, who have no use for it.
func (t *terminal) give() {
	if t.isOurs() {
		_ = unix.IoctlSetPointerInt(stdin, unix.TIOCSPGRP, t.child)
	}
}

// childStopped lets us stop as well, so that the shell which started us notices
// and prompts. Our own group gets the SIGTSTP that the keyboard gave to the
// child's. It is never caught here: the kernel stops us only if there is a
// shell to resume us, and not as PID 1 or in an orphaned group. There nobody
// could ever resume the child either, so a Ctrl-Z is undone at once. (A stop
// for reading the terminal from the background is not: it would come again.)
func (t *terminal) childStopped(sig syscall.Signal) {
	if t == nil {
		return
	}
	t.stopped = true
	// A shell's `fg` of a job that was running sends no SIGCONT: we learn that
	// the terminal is ours again when the child stops because it lacks it.
	if (sig == syscall.SIGTTIN || sig == syscall.SIGTTOU) && t.isOurs() {
		t.resume()
		return
	}
	stopOurGroup()
	if sig == syscall.SIGTSTP {
		t.resume()
	}
}

// stopOurGroup returns when the kernel has stopped us and a shell has resumed
// us, or at once if the kernel would not. A signal to the group alone may take
// effect on another thread a moment after the call has returned; so this thread
// has one of its own waiting, which it takes when it unblocks. Being resumed
// clears every stop signal that is still pending, so we never stop twice.
func stopOurGroup() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var stop, before unix.Sigset_t
	stop.Val[0] = 1 << (unix.SIGTSTP - 1)
	if unix.PthreadSigmask(unix.SIG_BLOCK, &stop, &before) != nil {
		return
	}
	_ = unix.Tgkill(os.Getpid(), unix.Gettid(), unix.SIGTSTP)
	_ = unix.Kill(0, unix.SIGTSTP)
	_ = unix.PthreadSigmask(unix.SIG_SETMASK, &before, nil)
}

// continued is for a shell that resumes us. A child that runs gets no second
// SIGCONT, which could undo a Ctrl-Z that was typed in between.
func (t *terminal) continued() {
	t.give()
	if t.stopped {
		t.resume()
	}
}

func (t *terminal) resume() {
	t.stopped = false
	t.give()
	_ = unix.Kill(-t.child, unix.SIGCONT)
}

// takeBack makes us the foreground again after the child, unless somebody who
// lives has it: the shell that put us into the background, say. PID 1 is about
// to end, and the terminal with it.
func (t *terminal) takeBack() {
	if t == nil || os.Getpid() == 1 {
		return
	}
	group, err := foregroundGroup()
	if err != nil || group == t.own {
		return
	}
	if group == t.child || errors.Is(unix.Kill(-group, 0), unix.ESRCH) {
		_ = unix.IoctlSetPointerInt(stdin, unix.TIOCSPGRP, t.own)
	}
}

func foregroundGroup() (int, error) {
	group, err := unix.IoctlGetUint32(stdin, unix.TIOCGPGRP)
	return int(group), err
}
