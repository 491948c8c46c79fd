// Package atomicfile owns how files are read and written on a state volume: a
// reader, at any moment and after any crash, finds the whole old file or the
// whole new one. Nothing here follows a symbolic link in a path's last part,
// opens anything but a regular file, or knows what the bytes mean.
//
// Writers hold the lock of [Acquire]: temporary files have fixed names, so
// that a killed run leaves at most one behind, and the next run clears it.
package atomicfile

import (
	"bytes"
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
	if err := CheckFolder(filepath.Dir(path)); err != nil {
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
	return readOpen(file, path, limit)
}

// readOpen reads an open file that has to be a regular one; path is for errors.
func readOpen(file *os.File, path string, limit int64) ([]byte, error) {
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
	var data bytes.Buffer
	data.Grow(int(info.Size()) + bytes.MinRead)
	// To its end, though it may grow meanwhile.
	if _, err := data.ReadFrom(io.LimitReader(file, limit+1)); err != nil {
		return nil, err
	}
	if size := int64(data.Len()); size > limit {
		return nil, &TooLargeError{Path: path, Size: size, Limit: limit}
	}
	return data.Bytes(), nil
}

// Stamp tells one state of a file from a later one.
type Stamp struct {
	inode   uint64
	size    int64
	changed unix.Timespec
}

// StampOf reads a file's stamp, without following a link.
func StampOf(path string) (Stamp, error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return Stamp{}, &fs.PathError{Op: "lstat", Path: path, Err: err}
	}
	return Stamp{inode: stat.Ino, size: stat.Size, changed: stat.Ctim}, nil
}

// Replace writes data to path, with the mode and owner of the file that is
// there, or mode 0600 and the directory's owner where there is none. The content
// and the directory's entry are on disk when it returns.
func Replace(path string, data []byte) error {
	temporary, err := writeReplacement(path, data, synced)
	if err != nil {
		return err
	}
	if err := replace(temporary, path); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// writeReplacement makes the file that is about to take path's place.
func writeReplacement(path string, data []byte, how durability) (temporary string, err error) {
	mode, owner := fs.FileMode(fileMode), path
	switch info, err := os.Lstat(path); {
	case err == nil:
		if err := mustBeRegular(path, info); err != nil {
			return "", err
		}
		mode = info.Mode().Perm()
	case errors.Is(err, fs.ErrNotExist):
		owner = filepath.Dir(path)
	default:
		return "", err
	}
	return writeTemporary(path, owner, mode, data, how)
}

func replace(temporary, path string) error {
	if err := atomic.ReplaceFile(temporary, path); err != nil {
		_ = os.Remove(temporary)
		return replaceError(path, err)
	}
	return nil
}

// durability is whether a file is on disk when it is written.
type durability bool

const (
	synced   durability = true
	unsynced durability = false // the caller sees to that
)

// Exchange is [Replace] for a file that somebody else replaces too, without a
// lock: it returns what stood there at the very moment, for the caller to compare
// with what it had read. It is nil where there was no file, or where the
// filesystem cannot exchange. What stood there stays at [Temporary], also where the
// exchange alone was done and what follows fails: the caller calls [Clear] once it
// needs that no more.
func Exchange(path string, data []byte, limit int64) (before []byte, err error) {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return exchangeNew(path, data, limit)
	}
	if err == nil {
		err = mustBeRegular(path, info)
	}
	if err != nil {
		return nil, err
	}
	temporary, err := writeTemporary(path, path, info.Mode().Perm(), data, synced)
	if err != nil {
		return nil, err
	}
	ours := true // is what is in the temporary file
	defer func() {
		if ours {
			_ = os.Remove(temporary)
		}
	}()
	swap := func() error {
		err := unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
		if err == nil {
			ours = !ours
		}
		return err
	}
	err = swap()
	if errors.Is(err, fs.ErrNotExist) {
		ours = false // it is about to be made anew
		return exchangeNew(path, data, limit)
	}
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) {
		return nil, Replace(path, data)
	}
	if err != nil {
		return nil, replaceError(path, err)
	}
	if before, err = Read(temporary, limit); err != nil {
		// What nobody could read is not ours to take away.
		return nil, errors.Join(err, swap())
	}
	return before, SyncDir(filepath.Dir(path))
}

// exchangeNew is [Exchange] where there was no file a moment ago.
func exchangeNew(path string, data []byte, limit int64) (before []byte, err error) {
	if err := Create(path, data); !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Exchange(path, data, limit)
}

// Create writes data to path, mode 0600, only where nothing is yet; otherwise
// the error wraps [fs.ErrExist]. Like [Replace] it is all or nothing.
func Create(path string, data []byte) error {
	if err := CreateUnsynced(path, data); err != nil {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// CreateUnsynced is [Create] for who makes more in the directory: its content is on
// disk when it returns, its name is once the caller has called [SyncDir].
func CreateUnsynced(path string, data []byte) error {
	temporary, err := writeTemporary(path, filepath.Dir(path), fileMode, data, synced)
	if err != nil {
		return err
	}
	return create(temporary, path)
}

// create gives a file a name that is not taken.
func create(temporary, path string) error {
	// One step that fails where the name is taken: killed before or after it,
	// nothing of a secret is left under another name.
	err := unix.Renameat2(unix.AT_FDCWD, temporary, unix.AT_FDCWD, path, unix.RENAME_NOREPLACE)
	if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.ENOTSUP) {
		// A filesystem or a kernel that cannot; NFS, for one.
		err = os.Link(temporary, path)
	}
	_ = os.Remove(temporary) // where it is still there
	if err != nil {
		return fmt.Errorf("cannot create %s: %w", path, err)
	}
	return nil
}

// CheckFolder refuses what is no directory, a link to one too: what is planted there would be
// read or written somewhere else.
func CheckFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &NotRegularError{Path: path, Kind: kindOf(info.Mode()), Want: "a directory"}
	}
	return nil
}

// Exists tells whether anything is at a path that can be looked at, be it a link.
func Exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Temporary is the path under which a file is written before it takes path's place.
func Temporary(path string) string {
	return filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".bootstrap-tmp")
}

// Clear removes what a killed run left of writing these files. The caller keeps
// other writers of them out.
func Clear(paths ...string) error {
	for _, path := range paths {
		if CheckFolder(filepath.Dir(path)) != nil {
			continue // there is none, or it is not ours to look into
		}
		if info, err := os.Lstat(Temporary(path)); err != nil || info.IsDir() {
			continue // a directory is none of ours
		}
		if err := os.Remove(Temporary(path)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// writeTemporary makes the file that is about to take path's place.
func writeTemporary(path, owner string, mode fs.FileMode, data []byte, how durability) (_ string, err error) {
	if err := CheckFolder(filepath.Dir(path)); err != nil {
		return "", err
	}
	temporary := Temporary(path)
	if err := os.Remove(temporary); err != nil && !errors.Is(err, fs.ErrNotExist) {
		if info, statErr := os.Lstat(temporary); statErr == nil && info.IsDir() {
			return "", mustBeRegular(temporary, info) // with something in it
		}
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
	if how == synced {
		return temporary, file.Sync()
	}
	return temporary, nil
}

// giveTo makes the owner of a path the file's owner too. Only root can, and
// only root has to; not where root acts as somebody else.
func giveTo(file *os.File, path string) error {
	if uid, _ := unix.SetfsuidRetUid(-1); uid != 0 { // which is how it is asked for
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

// MakeDir makes a directory of mode 0700, below one that exists, owned like it.
// A directory that is there stays as it is.
func MakeDir(path string) error {
	made, err := MakeDirUnsynced(path)
	if err != nil || !made {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// MakeDirUnsynced is [MakeDir] for who makes more beside it: where it made one, that
// is on disk once the caller has called [SyncDir] for the directory above.
func MakeDirUnsynced(path string) (made bool, err error) {
	err = os.Mkdir(path, dirMode)
	if errors.Is(err, fs.ErrExist) {
		return false, CheckFolder(path)
	}
	if err != nil {
		return false, err
	}
	dir, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_DIRECTORY, 0)
	if err != nil {
		return true, err
	}
	defer func() { _ = dir.Close() }()
	if err := giveTo(dir, filepath.Dir(path)); err != nil {
		return true, err
	}
	// Against an umask that takes the owner's own rights away.
	return true, dir.Chmod(dirMode)
}

// MakeDirs is [MakeDir] for a directory whose parents may be missing, too. They are
// made alike.
func MakeDirs(path string) error {
	if _, err := os.Stat(filepath.Dir(path)); errors.Is(err, fs.ErrNotExist) {
		if err := MakeDirs(filepath.Dir(path)); err != nil {
			return err
		}
	}
	return MakeDir(path)
}

// SyncDir makes a directory's entries durable; natefinch/atomic leaves that out.
func SyncDir(path string) error {
	dir, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		return nil // one that may be written and not read: nobody but its owner can sync it
	}
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	// Some filesystems (old FUSE, 9p) cannot sync a directory; the rename is done all the same.
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOTSUP) {
		return fmt.Errorf("cannot sync directory %s: %w", path, err)
	}
	return nil
}
