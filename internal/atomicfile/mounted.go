package atomicfile

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/shell"
)

// PlantedError says that root was pointed at a path on which somebody else decides
// what is read.
type PlantedError struct {
	Path string // the part of it that was not followed
	Kind string // "a symbolic link", …
	Dir  string // the directory that others can write
}

func (e *PlantedError) Error() string {
	return fmt.Sprintf("%s is %s, and others than root can write %s: root does not read it", e.Path, e.Kind, e.Dir)
}

func (e *PlantedError) Hint() string {
	return "look at it (ls -l " + shell.Quote(e.Path) + "); then name a file of its own, in a directory that root alone can write"
}

// ReadMounted is [Read] for a file that a person has named. It may be a link:
// Kubernetes mounts secrets and configuration so.
//
// Root, who may be about to become somebody else, follows links only where nobody
// but root can have made them, and reads below another user's directory only what
// that user could have read: else the error is a [PlantedError].
func ReadMounted(path string, limit int64) ([]byte, error) {
	if os.Geteuid() != 0 {
		real, err := filepath.EvalSymlinks(path)
		if err != nil {
			return nil, err
		}
		return Read(real, limit)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := openNamed(absolute)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return readOpen(file, path, limit)
}

// named is a walk to a file, one part of the path after the other, each by a
// descriptor of the directory before it.
type named struct {
	dir  int    // descriptor of the directory that the walk is in
	here string // its path
	// foreign is the first directory in which somebody other than root could have
	// put what the walk then went through; empty where there is none.
	foreign string
	links   int
}

// MaxLinks is the kernel's own bound on symbolic links in one path.
const MaxLinks = 40

func openNamed(path string) (*os.File, error) {
	n := &named{dir: -1}
	if err := n.enter(unix.AT_FDCWD, "/", "/"); err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(n.dir) }()
	for rest := Parts(path); len(rest) > 0; {
		name, more := rest[0], rest[1:]
		var dir, entry unix.Stat_t
		if err := unix.Fstat(n.dir, &dir); err != nil {
			return nil, n.fail("stat", "", err)
		}
		if err := unix.Fstatat(n.dir, name, &entry, unix.AT_SYMLINK_NOFOLLOW); err != nil {
			return nil, n.fail("lstat", name, err)
		}
		if n.foreign == "" && !rootDecides(n.dir, name, &dir, &entry) {
			n.foreign = n.here
		}
		isLink := entry.Mode&unix.S_IFMT == unix.S_IFLNK
		switch {
		case isLink && n.foreign != "":
			return nil, n.planted(name, "a symbolic link")
		case isLink:
			target, err := n.readLink(name)
			if err != nil {
				return nil, err
			}
			rest = append(target, more...)
			continue
		case len(more) == 0:
			return n.open(name, &dir)
		}
		if err := n.enter(n.dir, name, filepath.Join(n.here, name)); err != nil {
			return nil, err
		}
		rest = more
	}
	return nil, &NotRegularError{Path: path, Kind: "a directory"}
}

// Parts are the names in a path, for a walk from one to the next.
func Parts(path string) []string {
	return strings.FieldsFunc(path, func(r rune) bool { return r == '/' })
}

func (n *named) fail(op, name string, err error) error {
	return &os.PathError{Op: op, Path: filepath.Join(n.here, name), Err: err}
}

func (n *named) planted(name, kind string) error {
	return &PlantedError{Path: filepath.Join(n.here, name), Kind: kind, Dir: n.foreign}
}

// enter goes on to a directory; here is its path.
func (n *named) enter(at int, name, here string) error {
	dir, err := unix.Openat(at, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return n.fail("open", name, err)
	}
	if n.dir >= 0 {
		_ = unix.Close(n.dir)
	}
	n.dir, n.here = dir, here
	return nil
}

// readLink returns the parts of a link's target; for an absolute one the walk is
// at the root again.
func (n *named) readLink(name string) ([]string, error) {
	if n.links++; n.links > MaxLinks {
		return nil, n.fail("readlink", name, unix.ELOOP)
	}
	target := make([]byte, unix.PathMax)
	size, err := unix.Readlinkat(n.dir, name, target)
	if err != nil {
		return nil, n.fail("readlink", name, err)
	}
	if size > 0 && target[0] == '/' {
		err = n.enter(unix.AT_FDCWD, "/", "/")
	}
	return Parts(string(target[:size])), err
}

// open opens the file itself. In a directory that others can write it must be one
// that its owner could have copied there as well: not a second name of root's.
func (n *named) open(name string, dir *unix.Stat_t) (*os.File, error) {
	// O_NONBLOCK: opening a FIFO for reading would wait for a writer.
	fd, err := unix.Openat(n.dir, name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, n.planted(name, "a symbolic link")
	}
	if err != nil {
		return nil, n.fail("open", name, err)
	}
	file := os.NewFile(uintptr(fd), filepath.Join(n.here, name))
	if n.foreign == "" {
		return file, nil
	}
	var stat unix.Stat_t
	err = unix.Fstat(fd, &stat)
	switch isForAll := stat.Mode&0o004 != 0; {
	case err != nil:
		err = n.fail("stat", name, err)
	case stat.Nlink > 1:
		err = n.planted(name, "a hard link")
	case stat.Uid != dir.Uid && !isForAll:
		err = n.planted(name, fmt.Sprintf("a file of uid %d", stat.Uid))
	default:
		return file, nil
	}
	_ = file.Close()
	return nil, err
}

// rootDecides tells whether nobody but root can have put the entry there: into a
// directory that root alone can write; in a sticky one (a mounted secret of
// Kubernetes is) where it is root's own, and no second name of something; or as a
// mount point, which the kernel does not rename.
func rootDecides(fd int, name string, dir, entry *unix.Stat_t) bool {
	if dir.Uid == 0 && dir.Mode&0o022 == 0 {
		return true
	}
	if isDir := entry.Mode&unix.S_IFMT == unix.S_IFDIR; dir.Uid == 0 && dir.Mode&unix.S_ISVTX != 0 && entry.Uid == 0 && (isDir || entry.Nlink == 1) {
		return true
	}
	var extended unix.Statx_t
	err := unix.Statx(fd, name, unix.AT_SYMLINK_NOFOLLOW|unix.AT_NO_AUTOMOUNT, 0, &extended)
	return err == nil && extended.Attributes&unix.STATX_ATTR_MOUNT_ROOT != 0
}
