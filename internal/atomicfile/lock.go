package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/shell"
)

// LockedError says that the lock was not to be had before the timeout.
type LockedError struct {
	Path    string
	Timeout time.Duration
	// PID of the holder; 0 where it cannot be seen, as from another container.
	PID int
	// Passed: it went from one holder to another meanwhile.
	Passed bool
}

func (e *LockedError) Error() string {
	if e.Passed {
		return fmt.Sprintf("%s was never free for %s: one bootstrap after another has held it", e.Path, e.Timeout)
	}
	return fmt.Sprintf("another bootstrap has held %s for %s", e.Path, e.Timeout)
}
func (e *LockedError) Class() string { return "lock" }

// Hint says who has it, and how to wait for longer.
func (e *LockedError) Hint() string {
	wait := "wait for longer with --lock-timeout (BOOTSTRAP_LOCK_TIMEOUT)"
	switch {
	case e.Passed:
		return wait + ", or start fewer at once"
	case e.PID == 0:
		return wait + ", or end the other one: fuser -v " + shell.Quote(e.Path)
	}
	return fmt.Sprintf("%s, or end the other one: pid %d", wait, e.PID)
}

// ReplacedError says that what is locked is not what is at Path any more, so that
// another process may have locked that.
type ReplacedError struct{ Path string }

func (e *ReplacedError) Error() string {
	return e.Path + " was moved, removed or replaced while it was in use"
}

// Lock is an exclusive advisory lock (flock) between bootstrap processes. The
// gateway takes no part in it. It is gone when the process ends or execs.
type Lock struct{ held []lockedFile }

type lockedFile struct {
	path string
	file *os.File
}

// Acquire takes the lock file at path, making it where it is missing, and
// waits for it at most timeout: then the error is a [LockedError]. Another process may
// have it for as long as it runs: who gave up leaves nothing behind, however often.
func Acquire(ctx context.Context, path string, timeout time.Duration) (*Lock, error) {
	w := newWaiter(path, timeout)
	w.wait = w.poll
	return w.acquire(ctx, lockFile(path))
}

// AcquireInFolder is [Acquire] for a lock that is let go soon: all who wait get their
// turn. It locks the file's directory too, so that nobody else gets in when the file is
// removed. Where the filesystem cannot lock a directory, as NFS cannot, the file alone
// has to do. The directory must be one that others cannot read, for who can open it can
// lock it.
func AcquireInFolder(ctx context.Context, path string, timeout time.Duration) (*Lock, error) {
	return newWaiter(path, timeout).acquire(ctx, lockFolder(filepath.Dir(path)), lockFile(path))
}

// AcquireFolder is [Acquire] with a directory that is there as the lock itself: it
// leaves no file behind, and the directory may be one that cannot be written. On a
// network filesystem such a lock holds among the processes of one machine.
func AcquireFolder(ctx context.Context, path string, timeout time.Duration) (*Lock, error) {
	w := newWaiter(path, timeout)
	w.wait, w.mustLockFolders = w.poll, true
	return w.acquire(ctx, lockFolder(path))
}

// Release lets the lock go. The file stays, so that all agree on one inode. It
// cannot fail: the kernel unlocks what is closed, whatever close says.
func (l *Lock) Release() {
	for _, held := range l.held {
		_ = held.file.Close()
	}
}

// Check is a [ReplacedError] where what keeps others out is not at its path any
// more: the directory, where it could be locked, else the file.
func (l *Lock) Check() error { return l.held[0].check() }

func (f lockedFile) check() error {
	ours, err := f.file.Stat()
	if err != nil {
		return err
	}
	there, err := os.Lstat(f.path)
	if errors.Is(err, fs.ErrNotExist) || (err == nil && !os.SameFile(ours, there)) {
		return &ReplacedError{Path: f.path}
	}
	return err
}

// target is what is to be locked: a file, which is made where it is missing, or a
// directory that is there.
type target struct {
	path     string
	isFolder bool
}

func lockFile(path string) target   { return target{path: path} }
func lockFolder(path string) target { return target{path: path, isFolder: true} }

// waiter takes locks one after the other, all within one timeout.
type waiter struct {
	path    string // for people
	timeout time.Duration
	flock   func(fd, how int) error
	// wait waits until flock succeeds, or the context ends.
	wait func(context.Context, *os.File) error
	// mustLockFolders: a directory that cannot be locked is an error.
	mustLockFolders bool
	// holder is the function of that name. Who need not wait does not ask it.
	holder func([]target) int
	// first is who had it when this began to wait; 0 where that cannot be seen.
	first   int
	waiting bool
}

func newWaiter(path string, timeout time.Duration) *waiter {
	w := &waiter{path: path, timeout: timeout, flock: flock, holder: holder}
	w.wait = w.queue
	return w
}

func (w *waiter) acquire(ctx context.Context, targets ...target) (*Lock, error) {
	limited, cancel := context.WithTimeout(ctx, w.timeout)
	defer cancel()
	for {
		lock, err := w.takeAll(limited, targets)
		if err == nil {
			return lock, nil
		}
		switch replaced := errors.As(err, new(*ReplacedError)); {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case limited.Err() != nil && (replaced || errors.Is(err, context.DeadlineExceeded)):
			last := w.holder(targets)
			return nil, &LockedError{Path: w.path, Timeout: w.timeout, PID: last, Passed: w.first != 0 && last != 0 && w.first != last}
		case !replaced:
			return nil, fmt.Errorf("cannot lock %s: %w", w.path, err)
		}
	}
}

// takeAll is a [ReplacedError] where a lock was taken on what is not at its path
// any more: somebody has removed it in the meantime.
func (w *waiter) takeAll(ctx context.Context, targets []target) (_ *Lock, err error) {
	lock := &Lock{}
	defer func() {
		if err != nil {
			lock.Release()
		}
	}()
	for i, target := range targets {
		file, err := target.open()
		if err != nil {
			return nil, err
		}
		err = w.flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if errors.Is(err, unix.EWOULDBLOCK) {
			if !w.waiting {
				w.first, w.waiting = w.holder(targets[i:i+1]), true
			}
			err = w.wait(ctx, file) // which closes the file where it fails
		} else if err != nil {
			_ = file.Close()
		}
		if err != nil && target.isFolder && !w.mustLockFolders && cannotLock(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		lock.held = append(lock.held, lockedFile{target.path, file})
	}
	for _, held := range lock.held {
		if err := held.check(); err != nil {
			return nil, err
		}
	}
	return lock, nil
}

// cannotLock tells the errors of filesystems that lock no directories: NFS wants a
// descriptor that can write, which a directory's never can.
func cannotLock(err error) bool {
	for _, known := range []error{unix.EBADF, unix.EINVAL, unix.ENOLCK, unix.ENOSYS, unix.ENOTSUP} {
		if errors.Is(err, known) {
			return true
		}
	}
	return false
}

// queue waits in the kernel, which wakes those who wait in their order. It cannot
// be told to stop: past the deadline, the lock is let go as soon as it is there.
func (w *waiter) queue(ctx context.Context, file *os.File) error {
	taken := make(chan error, 1)
	go func() { taken <- w.flock(int(file.Fd()), unix.LOCK_EX) }()
	select {
	case err := <-taken:
		if err != nil {
			_ = file.Close()
		}
		return err
	case <-ctx.Done():
		go func() {
			<-taken //nolint:errcheck // taken or not, closing lets it go
			_ = file.Close()
		}()
		return ctx.Err()
	}
}

// pollEvery is how often a lock is tried that others may keep for ever: who waits in
// the kernel for that keeps a thread and a descriptor.
const pollEvery = 10 * time.Millisecond

// poll waits without the kernel's queue, and leaves nothing behind.
func (w *waiter) poll(ctx context.Context, file *os.File) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			_ = file.Close()
			return ctx.Err()
		case <-tick.C:
		}
		if err := w.flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); !errors.Is(err, unix.EWOULDBLOCK) {
			if err != nil {
				_ = file.Close()
			}
			return err
		}
	}
}

// flock is flock(2), tried again where a signal came in between.
func flock(fd, how int) error {
	for {
		if err := unix.Flock(fd, how); !errors.Is(err, unix.EINTR) {
			return err
		}
	}
}

// open opens what is to be locked. A file that root makes in somebody's directory
// must not lock that somebody out.
func (t target) open() (*os.File, error) {
	if t.isFolder {
		if err := CheckFolder(t.path); err != nil {
			return nil, err
		}
		return os.OpenFile(t.path, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	}
	if err := CheckFolder(filepath.Dir(t.path)); err != nil {
		return nil, err
	}
	const flags = os.O_RDWR | unix.O_NOFOLLOW | unix.O_NONBLOCK
	file, err := os.OpenFile(t.path, flags|os.O_CREATE|os.O_EXCL, fileMode)
	if err == nil {
		if err = giveTo(file, filepath.Dir(t.path)); err != nil {
			_ = file.Close()
		}
		return file, err
	}
	if !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	info, err := os.Lstat(t.path)
	if err == nil {
		err = mustBeRegular(t.path, info)
	}
	if err == nil {
		file, err = os.OpenFile(t.path, flags, 0)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &ReplacedError{Path: t.path} // just now
	}
	return file, err
}
