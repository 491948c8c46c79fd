package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/statedb"
)

// mark is the directory's own birth: a gateway replaces the file at every write,
// but makes the directory once. Without the file there is no store: a gateway that
// has removed its last device leaves an empty one.
func (s *jsonStore) mark(context.Context) (string, error) {
	if s.staged {
		return "", nil // nothing can have been removed from a store that is not made yet
	}
	if _, err := os.Lstat(s.path()); errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return birth(filepath.Dir(s.path()))
}

func (s *jsonStore) lastingMark(ctx context.Context) (string, error) {
	if !s.staged {
		copyUp(filepath.Dir(s.path()))
	}
	return s.mark(ctx)
}

// mark is the database's own record of its making, and the file's birth: a
// backup that is put back is another store than the one that was seeded. Where
// even the file is the same, see [markFor].
func (s *sqliteStore) mark(ctx context.Context) (string, error) {
	created, err := s.db.CreatedAtMs(ctx)
	if err != nil {
		return "", s.fail(err)
	}
	born, err := birth(s.path())
	return fmt.Sprintf("%d/%s", created, born), err
}

// markFor is the store's mark where the ledger's devices can have been removed from it,
// else empty. A database that was put back in place, as cp does it, is the same file; one
// from before the seeding has neither a local token (a device that is removed leaves its
// own there, but its CLI drops it once a gateway calls it a wrong one, 2026.9.6) nor any
// of the devices. Where the directory's own device stays out, it has no token to miss.
func markFor(ctx context.Context, from store, l *ledger) (string, error) {
	mark, err := from.mark(ctx)
	database, is := from.(*sqliteStore)
	if err != nil || !is {
		return mark, err
	}
	confirmed, own := l.confirmedIn(SQLite, mark)
	if !own {
		return mark, nil
	}
	seeded, err := database.hasLocalToken(ctx)
	if err != nil || seeded {
		return mark, err
	}
	if present, err := database.lookup(ctx, confirmed); err != nil || len(present) == 0 {
		return "", err
	}
	return mark, nil
}

// hasLocalToken tells whether the CLI in this directory has a token in the database.
func (s *sqliteStore) hasLocalToken(ctx context.Context) (bool, error) {
	has, err := s.db.Row(ctx, statedb.Query{
		Table: "device_auth_tokens", Args: []any{roleOperator},
		SQL: `SELECT 1 FROM device_auth_tokens JOIN device_identities USING (device_id) WHERE identity_key = 'primary' AND role = ? LIMIT 1`,
	}, new(int))
	return has, s.fail(err)
}

func (s *sqliteStore) lastingMark(ctx context.Context) (string, error) {
	copyUp(s.path())
	return s.mark(ctx)
}

// birth tells a file or directory from a later one of the same name: its inode
// and, where the filesystem keeps it, the time it was made. On overlayfs the time
// alone: a mount of layers on several filesystems numbers its inodes anew.
func birth(path string) (string, error) {
	var stat unix.Statx_t
	err := unix.Statx(unix.AT_FDCWD, path, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_INO|unix.STATX_BTIME, &stat)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", &StoreError{Path: path, Err: err}
	}
	if stat.Mask&unix.STATX_BTIME == 0 {
		return fmt.Sprintf("%d", stat.Ino), nil
	}
	born := fmt.Sprintf("@%d.%09d", stat.Btime.Sec, stat.Btime.Nsec)
	if onOverlay(path) {
		return born, nil
	}
	return fmt.Sprintf("%d%s", stat.Ino, born), nil
}

// copyUp makes overlayfs copy a file or directory of the image into the container's
// own layer now. Otherwise the gateway's first write does that, and what was copied
// is as young as that write from then on. Setting the access time is enough, and
// changes nothing that anybody reads. Where it fails, as on a read-only mount,
// nobody can write there either.
func copyUp(path string) {
	if onOverlay(path) {
		times := []unix.Timespec{{Nsec: unix.UTIME_NOW}, {Nsec: unix.UTIME_OMIT}}
		_ = unix.UtimesNanoAt(unix.AT_FDCWD, path, times, unix.AT_SYMLINK_NOFOLLOW)
	}
}

func onOverlay(path string) bool {
	var stat unix.Statfs_t
	return unix.Statfs(path, &stat) == nil && stat.Type == unix.OVERLAYFS_SUPER_MAGIC
}
