package rights

import (
	"errors"
	"fmt"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

const openDir = unix.O_RDONLY | unix.O_DIRECTORY | unix.O_NOFOLLOW | unix.O_CLOEXEC

// walk opens a directory as root, one part of the path after the other, each by a
// descriptor of the part before it, so that nothing can be exchanged behind it.
type walk struct {
	user User
	path string // absolute and clean
	// foreign is set by the first directory that somebody other than root can
	// change, and stays: whoever can rename there decides what is below.
	foreign bool
	links   int
	here    string // where the walk is

	// looks makes nothing, and notes who decides what is at path.
	looks      bool
	willCreate bool // the caller creates what is missing
	claims     []claim
	// shared is a directory of root's in which others can replace what is on the
	// way, "" where there is none; sharedHint is the command against it.
	shared, sharedHint string
	// before is called with each part of the path; for tests.
	before func(name string)
}

// open returns a descriptor of the directory, creating what is missing.
func (w *walk) open() (int, error) {
	fd, err := w.openAt(unix.AT_FDCWD, "/")
	if err != nil {
		return -1, w.fail("/", "cannot open it", err)
	}
	w.here = "/"
	rest := atomicfile.Parts(w.path)
	for len(rest) > 0 {
		if w.before != nil {
			w.before(rest[0])
		}
		next, more, err := w.step(fd, rest[0], rest[1:])
		if next != fd {
			_ = unix.Close(fd)
		}
		if err != nil {
			return -1, err
		}
		fd, rest = next, more
	}
	return fd, nil
}

// step goes from the directory fd into its entry name. It returns the descriptor
// to go on from (fd itself for a relative link, -1 on error) and what is still
// to be walked.
func (w *walk) step(fd int, name string, rest []string) (int, []string, error) {
	var dir, entry unix.Stat_t
	if err := unix.Fstat(fd, &dir); err != nil {
		return -1, nil, w.fail(name, "cannot read its parent", err)
	}
	err := unix.Fstatat(fd, name, &entry, unix.AT_SYMLINK_NOFOLLOW)
	if errors.Is(err, syscall.ENOENT) {
		w.foreign = w.foreign || !onlyRootWrites(&dir)
		if w.looks {
			w.decide(fd, name, &dir, nil)
			return -1, nil, errSeen
		}
		next, err := w.create(fd, name, &dir, len(rest) == 0)
		return next, rest, err
	}
	if err != nil {
		return -1, nil, w.fail(name, "cannot read it", err)
	}
	w.foreign = w.foreign || !rootDecides(&dir, &entry)
	if w.looks {
		w.decide(fd, name, &dir, &entry)
	}
	if entry.Mode&unix.S_IFMT == unix.S_IFLNK {
		if w.looks && (w.foreign || len(w.claims) > 0) {
			return -1, nil, errSeen
		}
		return w.follow(fd, name, rest)
	}
	next, err := w.openAt(fd, name)
	if err != nil {
		return -1, nil, w.fail(name, "is not a directory that can be opened", err)
	}
	w.here = filepath.Join(w.here, name)
	return next, rest, nil
}

// follow continues with the target of a link that only root can have made.
func (w *walk) follow(fd int, name string, rest []string) (int, []string, error) {
	if w.foreign {
		return -1, nil, w.fail(name, "is a symbolic link in a place that others than root can write, so root does not follow it; name its target instead", nil)
	}
	w.links++
	if w.links > atomicfile.MaxLinks {
		return -1, nil, w.fail(name, "too many symbolic links", syscall.ELOOP)
	}
	target := make([]byte, unix.PathMax)
	n, err := unix.Readlinkat(fd, name, target)
	if err != nil {
		return -1, nil, w.fail(name, "cannot read the link", err)
	}
	more := append(atomicfile.Parts(string(target[:n])), rest...)
	if n > 0 && target[0] != '/' {
		return fd, more, nil
	}
	root, err := w.openAt(unix.AT_FDCWD, "/")
	if err != nil {
		return -1, nil, w.fail("/", "cannot open it", err)
	}
	w.here = "/"
	return root, more, nil
}

// openAt opens a directory. To look, it need not be readable: root may be
// without CAP_DAC_READ_SEARCH.
func (w *walk) openAt(fd int, name string) (int, error) {
	flags := openDir
	if w.looks {
		flags |= unix.O_PATH
	}
	return unix.Openat(fd, name, flags, 0)
}

// create makes one missing directory. The last one is the state directory and the
// user's; parents belong to whoever owns the place, so that a user's home stays
// the user's.
func (w *walk) create(fd int, name string, parent *unix.Stat_t, last bool) (int, error) {
	// Closed to all until it has its owner.
	if err := unix.Mkdirat(fd, name, stateDirMode); err != nil && !errors.Is(err, syscall.EEXIST) {
		return -1, w.fail(name, "cannot create it", err)
	}
	next, err := unix.Openat(fd, name, openDir, 0)
	if err != nil {
		return -1, w.fail(name, "cannot open it after creating it", err)
	}
	err = w.settle(next, name, parent, last)
	if err == nil {
		if err = synced(unix.Fsync(fd)); err != nil {
			err = w.fail(name, "cannot sync the directory that it is in", err)
		}
	}
	if err != nil {
		_ = unix.Close(next)
		return -1, err
	}
	return next, nil
}

// settle gives the new directory its mode and owner. If another got there first it
// is not root's or not empty, and is left alone: the end of the walk judges it.
func (w *walk) settle(fd int, name string, parent *unix.Stat_t, last bool) error {
	var made unix.Stat_t
	if err := unix.Fstat(fd, &made); err != nil {
		return w.fail(name, "cannot read what was created", err)
	}
	empty, err := isEmpty(fd)
	if err != nil {
		return w.fail(name, "cannot list what was created", err)
	}
	if made.Uid != 0 || !empty {
		return nil
	}
	mode, uid, gid := uint32(parentDirMode), int(parent.Uid), int(parent.Gid)
	if last {
		mode, uid, gid = stateDirMode, w.user.UID, w.user.GID
	}
	if err := unix.Fchmod(fd, mode); err != nil {
		return w.fail(name, "cannot set its mode", err)
	}
	if uid == 0 && gid == 0 {
		return nil
	}
	if err := unix.Fchown(fd, uid, gid); err != nil {
		return chownError(w.path, w.user, err)
	}
	return nil
}

// onlyRootWrites: nobody else can add, rename or remove entries.
func onlyRootWrites(dir *unix.Stat_t) bool {
	return dir.Uid == 0 && dir.Mode&0o022 == 0
}

// rootDecides: nobody but root can have made this entry or can replace it. In a
// sticky directory such as /tmp that holds for root's own directories, but not for
// links: anybody may be able to hard-link one of root's into it.
func rootDecides(dir, entry *unix.Stat_t) bool {
	sticky := dir.Uid == 0 && dir.Mode&unix.S_ISVTX != 0
	rootsFolder := entry.Uid == 0 && entry.Mode&unix.S_IFMT == unix.S_IFDIR
	return onlyRootWrites(dir) || (sticky && rootsFolder)
}

func (w *walk) fail(part, reason string, err error) error {
	e := &StateDirError{Path: w.path, User: w.user, Reason: reason, Err: err}
	if part != filepath.Base(w.path) {
		e.Reason = fmt.Sprintf("its part %q %s", part, reason)
	}
	if errors.Is(err, syscall.EROFS) || errors.Is(err, syscall.EACCES) || errors.Is(err, syscall.EPERM) {
		e.hint = fmt.Sprintf("mount a writable volume at %s", shell.Quote(w.path))
	}
	return e
}
