// Package atomicfile owns how files are read and written on a state volume: a
// reader, at any moment and after any crash, finds the whole old file or the
// whole new one. Nothing here follows a symbolic link in a path's last part,
// opens anything but a regular file, or knows what the bytes mean.
//
// Writers hold the lock of [Acquire]: temporary files have fixed names, so
// that a killed run leaves at most one behind, and the next run clears it.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/natefinch/atomic"
	"golang.org/x/sys/unix"
)

// fileMode and dirMode are what the gateway gives its own secrets (2026.9.6).
const (
	fileMode = 0o600
	dirMode  = 0o700
)

// Read returns the content of a regular file of at most limit bytes. It never
// waits: a FIFO or a device is an error, not a hang.
func Read(path string, limit int64) ([]byte, error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return nil, err
	}
	// O_NONBLOCK: opening a FIFO for reading would wait for a writer.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ELOOP) {
		return nil, &NotRegularError{Path: path, Kind: "a symbolic link"}
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	if err := mustBeRegular(path, info); err != nil {
		return nil, err
	}
	if info.Size() > limit {
		return nil, &TooLargeError{Path: path, Size: info.Size(), Limit: limit}
	}
	data := make([]byte, 0, info.Size()+1)
	return readInto(file, data, path, limit)
}

// Stamp tells one state of a file from a later one.
type Stamp struct {
	inode     uint64
	size      int64
	changed   unix.Timespec
	isPresent bool
}

// StampOf reads a file's stamp, without following a link.
func StampOf(path string) (Stamp, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return Stamp{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return Stamp{inode: stat.Ino, size: stat.Size, changed: stat.Ctim, isPresent: true}, nil
}

// ReadMounted is [Read] for a file that somebody mounts for us to read, which
// may be a link: Kubernetes mounts secrets and configuration so.
func ReadMounted(path string, limit int64) ([]byte, error) {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, err
	}
	return Read(real, limit)
}

// readInto reads to the end, even of a file that grows meanwhile.
func readInto(file *os.File, data []byte, path string, limit int64) ([]byte, error) {
	for {
		if len(data) == cap(data) {
			data = append(data, 0)[:len(data)]
		}
		n, err := file.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		if int64(len(data)) > limit {
			return nil, &TooLargeError{Path: path, Size: int64(len(data)), Limit: limit}
		}
		if errors.Is(err, io.EOF) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

// Replace writes data to path, with the mode and owner of the file that is
// there, or mode 0600 and the folder's owner where there is none. The content
// and the folder's entry are on disk when it returns.
func Replace(path string, data []byte) error {
	mode, owner := fs.FileMode(fileMode), path
	switch info, err := os.Lstat(path); {
	case err == nil:
		if err := mustBeRegular(path, info); err != nil {
			return err
		}
		mode = info.Mode().Perm()
	case errors.Is(err, fs.ErrNotExist):
		owner = filepath.Dir(path)
	default:
		return err
	}
	temporary, err := writeTemporary(path, owner, mode, data)
	if err != nil {
		return err
	}
	if err := atomic.ReplaceFile(temporary, path); err != nil {
		_ = os.Remove(temporary)
		return replaceError(path, err)
	}
	return syncDir(filepath.Dir(path))
}

// Exchange is [Replace] for a file that somebody else replaces too, without a
// lock: it returns what stood there at the very moment, for the caller to compare
// with what it had read. It is nil where there was no file, or where the
// filesystem cannot exchange.
func Exchange(path string, data []byte, limit int64) (before []byte, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, Replace(path, data)
	}
	if err == nil {
		err = mustBeRegular(path, info)
	}
	if err != nil {
		return nil, err
	}
	temporary, err := writeTemporary(path, path, info.Mode().Perm(), data)
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.Remove(temporary) }()
	swap := func() error {
		return unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	}
	err = swap()
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, fs.ErrNotExist) {
		return nil, Replace(path, data)
	}
	if err != nil {
		return nil, replaceError(path, err)
	}
	if before, err = Read(temporary, limit); err != nil {
		// What nobody could read is not ours to take away.
		return nil, errors.Join(err, swap())
	}
	return before, syncDir(filepath.Dir(path))
}

// Create writes data to path, mode 0600, only where nothing is yet; otherwise
// the error wraps [fs.ErrExist]. Like [Replace] it is all or nothing.
func Create(path string, data []byte) error {
	temporary, err := writeTemporary(path, filepath.Dir(path), fileMode, data)
	if err != nil {
		return err
	}
	// One step that fails where the name is taken: killed before or after it,
	// nothing of a secret is left under another name.
	err = unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		// A filesystem or a kernel that cannot; NFS, for one.
		err = os.Link(temporary, path)
	}
	_ = os.Remove(temporary) // where it is still there
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// Append adds data to the end of a regular file, in one write that is on disk
// when it returns; the file is made, mode 0600, where there is none.
func Append(path string, data []byte) error {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err == nil {
		err = mustBeAlone(path, info)
	}
	if err != nil && !fresh {
		return err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, fileMode)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if info, err = file.Stat(); err == nil {
		err = mustBeAlone(path, info)
	}
	if err != nil {
		return err
	}
	if fresh {
		if err := giveTo(file, filepath.Dir(path)); err != nil {
			return err
		}
	}
	if _, err := file.Write(data); err != nil {
		return err
	}
	if err := file.Sync(); err != nil || !fresh {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// checkFolder refuses a folder that is a link: what is planted there would be
// read or written somewhere else.
func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &NotRegularError{Path: path, Kind: kindOf(info.Mode()), Want: "a folder"}
	}
	return nil
}

// writeTemporary makes the synced file that is about to take path's place.
func writeTemporary(path, owner string, mode fs.FileMode, data []byte) (_ string, err error) {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return "", err
	}
	temporary := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".bootstrap-tmp")
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("cannot clear %s: %w", temporary, err)
	}
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, fileMode)
	if err != nil {
		return "", err
	}
	defer func() {
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			_ = os.Remove(temporary)
			err = fmt.Errorf("cannot write %s: %w", path, err)
		}
	}()
	if err := giveTo(file, owner); err != nil {
		return "", err
	}
	if err := file.Chmod(mode); err != nil {
		return "", err
	}
	if _, err := file.Write(data); err != nil {
		return "", err
	}
	return temporary, file.Sync()
}

// giveTo makes the owner of a path the file's owner too. Only root can, and
// only root has to.
func giveTo(file *os.File, path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return err
	}
	if stat.Uid == 0 && stat.Gid == 0 {
		return nil
	}
	return file.Chown(int(stat.Uid), int(stat.Gid))
}

// MakeDir makes a folder of mode 0700, below one that exists, owned like it.
// A folder that is there stays as it is.
func MakeDir(path string) error {
	err := os.Mkdir(path, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return checkFolder(path)
	}
	if err != nil {
		return err
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	if err := giveTo(dir, filepath.Dir(path)); err != nil {
		return err
	}
	// Against an umask that takes the owner's own rights away.
	if err := dir.Chmod(dirMode); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a folder's entries durable; natefinch/atomic leaves that out.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	// Some filesystems (old FUSE, 9p) cannot sync a folder; the rename stands.
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("cannot sync folder %s: %w", path, err)
	}
	return nil
}
