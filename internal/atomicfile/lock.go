package atomicfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
	"golang.org/x/sys/unix"
)

// LockedError says that another process held the lock past the timeout.
type LockedError struct {
	Path    string
	Timeout time.Duration
	// PID of the holder; 0 where it cannot be seen, as from another container.
	PID int
}

func (e *LockedError) Error() string {
	return fmt.Sprintf("another bootstrap has held %s for %s", e.Path, e.Timeout)
}

// Hint says who has it, and how to wait for longer.
func (e *LockedError) Hint() string {
	wait := "wait for longer with --lock-timeout (BOOTSTRAP_LOCK_TIMEOUT)"
	if e.PID == 0 {
		return wait + ", or end the other one: fuser -v " + e.Path
	}
	return fmt.Sprintf("%s, or end the other one: pid %d", wait, e.PID)
}

// Lock is an exclusive advisory lock (flock) between bootstrap processes. The
// gateway takes no part in it. It is gone when the process ends or execs.
type Lock struct{ flock *flock.Flock }

// lockRetry is how often a taken lock is tried again.
const lockRetry = 5 * time.Millisecond

// Acquire takes the lock file at path, making it where it is missing, and
// waits for it at most timeout: then the error is a [LockedError].
func Acquire(ctx context.Context, path string, timeout time.Duration) (*Lock, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	if err := makeLockFile(path); err != nil {
		return nil, err
	}
	return acquire(ctx, path, os.O_CREATE|os.O_RDWR|unix.O_NONBLOCK, timeout)
}

// AcquireFolder is [Acquire] with a folder that is there as the lock itself: it
// leaves no file behind, and the folder may be one that cannot be written. On a
// network filesystem such a lock holds among the processes of one machine.
func AcquireFolder(ctx context.Context, path string, timeout time.Duration) (*Lock, error) {
	if err := checkFolder(path); err != nil {
		return nil, err
	}
	return acquire(ctx, path, os.O_RDONLY|unix.O_DIRECTORY, timeout)
}

func acquire(ctx context.Context, path string, flags int, timeout time.Duration) (*Lock, error) {
	lock := flock.New(path, flock.SetFlag(flags|unix.O_NOFOLLOW), flock.SetPermissions(fileMode))
	// At least one try, also with a timeout of nothing.
	if taken, err := lock.TryLock(); taken || err != nil {
		return newLock(lock, path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	_, err := lock.TryLockContext(ctx, lockRetry)
	if errors.Is(err, context.DeadlineExceeded) {
		return nil, &LockedError{Path: path, Timeout: timeout, PID: holder(path)}
	}
	return newLock(lock, path, err)
}

func newLock(lock *flock.Flock, path string, err error) (*Lock, error) {
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	return &Lock{flock: lock}, nil
}

// Release lets the lock go. The file stays, so that all agree on one inode.
func (l *Lock) Release() error { return l.flock.Close() }

// makeLockFile makes the file where there is none. Made by root in somebody's
// folder, it must not lock that somebody out.
func makeLockFile(path string) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, fileMode)
	if errors.Is(err, fs.ErrExist) {
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		return mustBeRegular(path, info)
	}
	if err != nil {
		return err
	}
	return errors.Join(giveTo(file, filepath.Dir(path)), file.Close())
}
