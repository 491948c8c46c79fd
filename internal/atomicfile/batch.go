package atomicfile

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Batch writes many files, each of which is the whole old or the whole new one after
// any crash, as with [Create] and [Replace], and all of which are on disk once
// [Batch.Commit] returns. The kernel is asked twice for all of them, before they get
// their names and after that, where one call of it is worth as much (syncfs(2)); else
// for each file and each directory.
type Batch struct {
	top         *os.File // on the filesystem that one call is about; nil where that does not do
	device      uint64
	moves       []move
	directories []directory
	made        bool // a directory was
}

// As does something with the rights that a file is written with.
type As func(do func() error) error

type move struct {
	temporary, path string
	place           func(temporary, path string) error
	as              As
}

type directory struct {
	path string
	as   As
}

// NewBatch begins one for files below a directory that is there.
func NewBatch(top string) *Batch {
	b := &Batch{}
	dir, err := os.OpenFile(top, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return b // then each file by itself
	}
	var stat unix.Stat_t
	if !syncsAtOnce(dir) || unix.Fstat(int(dir.Fd()), &stat) != nil {
		_ = dir.Close()
		return b
	}
	b.top, b.device = dir, stat.Dev
	return b
}

// syncsAtOnce tells whether syncfs(2) does for a filesystem what fsync(2) does for
// each of its files: not where a server has the files (FUSE, 9p, SMB), which is not
// told of it, and not before Linux 5.8, where it does not tell of errors.
func syncsAtOnce(dir *os.File) bool {
	var stat unix.Statfs_t
	if unix.Fstatfs(int(dir.Fd()), &stat) != nil || !slices.Contains([]uint32{
		unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.TMPFS_MAGIC,
	}, uint32(stat.Type)) { // which is signed, and of 32 bits on some machines
		return false
	}
	var name unix.Utsname
	return unix.Uname(&name) == nil && since(unix.ByteSliceToString(name.Release[:]), 5, 8)
}

// since tells whether a release such as 6.1.0-13-amd64 is that one, or a later one.
func since(release string, major, minor int) bool {
	first, rest, _ := strings.Cut(release, ".")
	second, _, _ := strings.Cut(rest, ".")
	isMajor, err := strconv.Atoi(first)
	isMinor, minorErr := strconv.Atoi(second)
	return err == nil && minorErr == nil && (isMajor > major || isMajor == major && isMinor >= minor)
}

func (b *Batch) MakeDir(path string, as As) error {
	made, err := MakeDirUnsynced(path)
	if made {
		b.made = true
		b.note(filepath.Dir(path), as)
	}
	return err
}

func (b *Batch) Create(path string, data []byte, as As) error {
	temporary, err := writeTemporary(path, filepath.Dir(path), fileMode, data, b.durability(path))
	return b.add(temporary, path, create, as, err)
}

func (b *Batch) Replace(path string, data []byte, as As) error {
	temporary, err := writeReplacement(path, data, b.durability(path))
	return b.add(temporary, path, replace, as, err)
}

// durability: a file on another filesystem, as where a client's volume is mounted
// below the directory, is synced by itself.
func (b *Batch) durability(path string) durability {
	if b.isBelow(filepath.Dir(path)) {
		return unsynced
	}
	return synced
}

func (b *Batch) isBelow(directory string) bool {
	var stat unix.Stat_t
	return b.top != nil && unix.Lstat(directory, &stat) == nil && stat.Dev == b.device
}

func (b *Batch) add(temporary, path string, place func(string, string) error, as As, err error) error {
	if err != nil {
		return err
	}
	b.moves = append(b.moves, move{temporary, path, place, as})
	b.note(filepath.Dir(path), as)
	return nil
}

// note remembers a directory that has to be synced by itself.
func (b *Batch) note(path string, as As) {
	if !b.isBelow(path) && !slices.ContainsFunc(b.directories, func(f directory) bool { return f.path == path }) {
		b.directories = append(b.directories, directory{path, as})
	}
}

// Commit gives the files their names. After an error some of them may have theirs;
// nothing else is left.
func (b *Batch) Commit() (err error) {
	defer func() { err = errors.Join(err, b.Abandon()) }()
	if len(b.moves) == 0 && !b.made {
		return nil
	}
	if err := b.sync(); err != nil {
		return err
	}
	for len(b.moves) > 0 {
		m := b.moves[0]
		if err := m.as(func() error { return m.place(m.temporary, m.path) }); err != nil {
			return err
		}
		b.moves = b.moves[1:]
	}
	for _, directory := range b.directories {
		if err := directory.as(func() error { return SyncDir(directory.path) }); err != nil {
			return err
		}
	}
	return b.sync()
}

// Abandon removes what did not get its name.
func (b *Batch) Abandon() error {
	var failed []error
	for _, m := range b.moves {
		err := m.as(func() error { return os.Remove(m.temporary) })
		if !errors.Is(err, fs.ErrNotExist) {
			failed = append(failed, err)
		}
	}
	b.moves = nil
	if b.top != nil {
		_ = b.top.Close()
		b.top = nil
	}
	return errors.Join(failed...)
}

func (b *Batch) sync() error {
	if b.top == nil {
		return nil
	}
	if err := unix.Syncfs(int(b.top.Fd())); err != nil {
		return errors.Join(errors.New("cannot sync the filesystem of "+b.top.Name()), err)
	}
	return nil
}
