package atomicfile

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/shell"
)

// NotRegularError says that something else is where a file (or, by Want, a
// directory) must be. It is never followed and never replaced.
type NotRegularError struct {
	Path string
	Kind string // "a symbolic link", "a FIFO", …
	Want string // "a regular file" where empty
}

func (e *NotRegularError) Error() string {
	return fmt.Sprintf("%s is %s, not %s", e.Path, e.Kind, cmp.Or(e.Want, "a regular file"))
}

// TooLargeError says that a file has more bytes than anything real would have.
type TooLargeError struct {
	Path        string
	Size, Limit int64
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("%s has %d bytes, more than the %d that are read", e.Path, e.Size, e.Limit)
}

func mustBeRegular(path string, info fs.FileInfo) error {
	if info.Mode().IsRegular() {
		return nil
	}
	return &NotRegularError{Path: path, Kind: kindOf(info.Mode())}
}

// mustBeAlone also refuses a second name of some other file, for those who write
// into a file instead of replacing it.
func mustBeAlone(path string, info fs.FileInfo) error {
	if err := mustBeRegular(path, info); err != nil {
		return err
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return &NotRegularError{Path: path, Kind: "a hard link", Want: "a file of its own"}
	}
	return nil
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return "a regular file"
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	default:
		return "a device"
	}
}

// replaceError explains the two ways in which a rename fails on a volume that
// is otherwise writable.
func replaceError(path string, err error) error {
	switch {
	case errors.Is(err, unix.EBUSY):
		return fmt.Errorf("cannot replace %s: it is a mount point of its own; mount the directory around it instead: %w", path, err)
	case errors.Is(err, unix.EXDEV):
		return fmt.Errorf("cannot replace %s: its directory is on another filesystem: %w", path, err)
	}
	return fmt.Errorf("cannot replace %s: %w", path, err)
}

// HintFor says what to do about a failure that the volume is to blame for; empty
// where it is not. path is what could not be read or written.
func HintFor(path string, err error) string {
	var irregular *NotRegularError
	var large *TooLargeError
	var planted *PlantedError
	switch {
	case errors.As(err, &planted):
		return planted.Hint()
	case errors.As(err, &irregular):
		return "somebody put it there, and it is never followed: look at it (ls -ld), then remove it: rm -r " + shell.Quote(irregular.Path)
	case errors.As(err, &large):
		return "no gateway writes that much: look at it, then move it away: mv " + shell.Quote(large.Path) + " " + shell.Quote(large.Path+".broken")
	case errors.Is(err, unix.EBUSY):
		return "mount the directory around it instead of the single file"
	case errors.Is(err, fs.ErrPermission):
		return fixRights(path, err)
	case errors.Is(err, unix.EROFS):
		return "mount the volume read-write"
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		return "the volume is full: free space, or inodes, or a quota (df -h, df -i)"
	case errors.Is(err, unix.EMFILE):
		return "this process may open no more files: raise its limit (ulimit -n; docker run --ulimit nofile=1024)"
	case errors.Is(err, unix.ENFILE):
		return "this machine has no more open files left: raise fs.file-max, or end what holds them (lsof)"
	case errors.Is(err, unix.EIO):
		return "the disk answers with errors: look at dmesg, and restore from a backup"
	}
	return ""
}

// fixRights names what is not ours: the file, or its directory. It looks no
// higher: a command for a directory above would give away more than a volume.
func fixRights(path string, err error) string {
	if fault := (*fs.PathError)(nil); errors.As(err, &fault) {
		path = fault.Path
	}
	self := os.Geteuid()
	for _, at := range []string{path, filepath.Dir(path)} {
		var stat unix.Stat_t
		if unix.Lstat(at, &stat) != nil || int(stat.Uid) == self {
			continue
		}
		return fmt.Sprintf("%s belongs to uid %d, and this is uid %d; as root: chown -R %d:%d %s",
			shell.Quote(at), stat.Uid, self, self, os.Getegid(), shell.Quote(at))
	}
	return "look at the rights of " + shell.Quote(path) + " (ls -ld), and of the directories above"
}
