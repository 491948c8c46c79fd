package rights

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

const (
	stateDirMode  = 0o700 // as the gateway makes it
	parentDirMode = 0o755
)

// StateDirError says why the state directory cannot be made ready for User.
type StateDirError struct {
	Path   string // the part of the path at fault
	User   User
	Reason string
	Err    error // nil where Reason says it all
	hint   string
}

func (e *StateDirError) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("cannot prepare state directory for %s: %s: %s", e.User, e.Path, e.Reason)
	}
	return fmt.Sprintf("cannot prepare state directory for %s: %s: %s: %v", e.User, e.Path, e.Reason, e.Err)
}
func (e *StateDirError) Class() string { return "store" }

func (e *StateDirError) Unwrap() error { return e.Err }

// Hint is a command to type, "" where there is none.
func (e *StateDirError) Hint() string { return cmp.Or(e.hint, atomicfile.HintFor(e.Path, e.Err)) }

// PrepareStateDir makes sure, before the drop, that the user will have a state
// directory at path, which must be absolute. What is missing is created, 0700 and
// the user's; parents 0755 and the owner's of the directory they are made in. An
// empty directory of root, which is what a fresh volume looks like, is given to
// the user. Nothing else is ever chowned, nothing recursively: a directory with
// content that the user cannot write is an error with the command that fixes it.
//
// As root it follows symbolic links only where nobody but root could have put
// them (/var/run, say), and never inside a volume that somebody else can write.
// Not as root, it only creates and checks; so a second call, after the drop,
// shows whether the user can reach the directory at all. Errors are *StateDirError.
func PrepareStateDir(path string, u User) error {
	if !filepath.IsAbs(path) {
		return &StateDirError{Path: path, User: u, Reason: "is not an absolute path"}
	}
	if filepath.Clean(path) == "/" {
		return &StateDirError{Path: path, User: u, Reason: "is where everything is: the gateway wants a directory of its own", hint: "name one, such as /data"}
	}
	if os.Geteuid() != 0 {
		return prepareUnprivileged(path, u)
	}
	w := walk{user: u, path: filepath.Clean(path)}
	fd, err := w.open()
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return handOver(fd, w.path, u)
}

// prepareUnprivileged has no rights that a planted link could misuse.
func prepareUnprivileged(path string, u User) error {
	if err := makeAll(path, stateDirMode); err != nil {
		return &StateDirError{
			Path: path, User: u, Reason: "cannot create it", Err: err,
			hint: fmt.Sprintf("as root: mkdir -p %s && chown %s %s", shell.Quote(path), u, shell.Quote(path)),
		}
	}
	if err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS); err != nil {
		hint := fixOwner(path, u)
		if errors.Is(err, unix.EROFS) {
			hint = "mount the volume read-write"
		}
		return &StateDirError{Path: path, User: u, Reason: "cannot write it", Err: err, hint: hint}
	}
	return nil
}

// makeAll makes a directory and its parents, as far as they are missing, and has
// each on disk: what is written into the volume is lost with a directory above it.
func makeAll(path string, mode os.FileMode) error {
	if isDirectory(path) || path == filepath.Dir(path) {
		return nil
	}
	if err := makeAll(filepath.Dir(path), parentDirMode); err != nil {
		return err
	}
	if err := os.Mkdir(path, mode); err != nil && !isDirectory(path) {
		return err
	}
	parent, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil // it may be written and not read: only its owner can sync it
	}
	defer func() { _ = parent.Close() }()
	return synced(parent.Sync())
}

func isDirectory(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// synced overlooks that some filesystems (old FUSE, 9p) cannot sync a directory.
func synced(err error) error {
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}

// handOver gives the open directory to the user if it is root's and empty. A group
// other than root's was chosen by somebody (fsGroup in Kubernetes) and stays.
func handOver(fd int, path string, u User) error {
	var stat unix.Stat_t
	if err := unix.Fstat(fd, &stat); err != nil {
		return &StateDirError{Path: path, User: u, Reason: "cannot read its owner", Err: err}
	}
	if u.UID == 0 || int(stat.Uid) == u.UID {
		return nil
	}
	empty, err := isEmpty(fd)
	if err != nil {
		return &StateDirError{Path: path, User: u, Reason: "cannot list it", Err: err}
	}
	if stat.Uid != 0 || !empty {
		if writableBy(&stat, u) {
			return nil
		}
		return &StateDirError{
			Path: path, User: u, hint: fixOwner(path, u),
			Reason: fmt.Sprintf("belongs to %d:%d, has mode %04o and is not an empty directory of root", stat.Uid, stat.Gid, stat.Mode&0o7777),
		}
	}
	gid := -1
	if stat.Gid == 0 {
		gid = u.GID
	}
	if err := unix.Fchown(fd, u.UID, gid); err != nil {
		if writableBy(&stat, u) {
			return nil // a volume that knows no owners, but lets the user in
		}
		return chownError(path, u, err)
	}
	return nil
}

// chownError: root without CAP_CHOWN, a read-only volume, or an NFS server
// that squashes root.
func chownError(path string, u User, err error) error {
	e := &StateDirError{Path: path, User: u, Reason: "cannot give it to the user", Err: err, hint: fixOwner(path, u)}
	if errors.Is(err, syscall.EPERM) {
		e.Reason += " (CAP_CHOWN is missing, or the volume's server forbids it)"
	}
	return e
}

// isEmpty overlooks the lost+found that mkfs leaves in a fresh ext4 volume.
func isEmpty(fd int) (bool, error) {
	again, err := unix.Openat(fd, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false, err
	}
	dir := os.NewFile(uintptr(again), ".")
	defer func() { _ = dir.Close() }()
	names, err := dir.Readdirnames(2)
	if err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return len(names) == 0 || (len(names) == 1 && names[0] == "lost+found"), nil
}

// writableBy asks the mode bits for the user; the directory is not the user's own.
func writableBy(stat *unix.Stat_t, u User) bool {
	const writeAndEnter = 0o3
	if slices.Contains(append([]int{u.GID}, u.Groups...), int(stat.Gid)) {
		return stat.Mode>>3&writeAndEnter == writeAndEnter
	}
	return stat.Mode&writeAndEnter == writeAndEnter
}

func fixOwner(path string, u User) string {
	return fmt.Sprintf("as root: chown -R %s %s", u, shell.Quote(path))
}
