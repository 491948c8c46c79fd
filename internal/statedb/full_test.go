package statedb

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
	sqlite3 "modernc.org/sqlite/lib"
)

// SQLite cannot make its -wal and -shm where there is no room or no inode, and
// says of that only that it cannot open the file, or that a disk failed.
func TestAFullVolumeIsCalledFull(t *testing.T) {
	for name, size := range map[string]string{"no room": "size=1m", "no inode": "size=8m,nr_inodes=12"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := unix.Mount("tmpfs", dir, "tmpfs", 0, size); err != nil {
				t.Skipf("no full disk can be made here, which takes root: %v", err)
			}
			t.Cleanup(func() {
				if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
					t.Error(err)
				}
			})
			path := Path(dir)
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			walDatabase(t, path)
			for i, err := 0, error(nil); err == nil; i++ {
				err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("fill.%d", i)), make([]byte, 4096), 0o600)
			}
			db, err := Open(t.Context(), dir)
			if err == nil {
				err = db.Change(t.Context(), func(ctx context.Context, tx Tx) error {
					_, err := tx.Write(ctx, Query{Table: "t", SQL: "INSERT INTO t VALUES (zeroblob(100000))"})
					return err
				})
				_ = db.Close()
			}
			var fault *Error
			if !errors.As(err, &fault) || !strings.Contains(fault.Hint(), "the volume is full") {
				t.Errorf("got %v, with the hint %q", err, fault.Hint())
			}
		})
	}
}

func walDatabase(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := open(t.Context(), path, "rw")
	if err != nil {
		t.Fatal(err)
	}
	for _, query := range []string{"PRAGMA journal_mode = WAL", "CREATE TABLE t (x)"} {
		if _, err := db.conn.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// SQLite says of a descriptor that it cannot have only that it cannot open the file.
func TestALimitOnOpenFilesIsNotAMatterOfRights(t *testing.T) {
	path := Path(t.TempDir())
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	limited := unix.Rlimit{Cur: 1, Max: before.Max} // what is open stays open
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &limited, nil); err != nil {
		t.Fatal(err)
	}
	hint := hintFor(sqlite3.SQLITE_CANTOPEN, path)
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(hint, "ulimit -n") {
		t.Errorf("got %q", hint)
	}
}

func TestWhereThereIsRoomTheHintIsForTheFault(t *testing.T) {
	path := Path(t.TempDir())
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]string{
		sqlite3.SQLITE_IOERR_READ: "the disk answers with errors",
		sqlite3.SQLITE_CANTOPEN:   "look at the rights of",
		sqlite3.SQLITE_FULL:       "the volume is full",
		sqlite3.SQLITE_PROTOCOL:   "does not lock files",
	} {
		if hint := hintFor(code, path); !strings.Contains(hint, want) {
			t.Errorf("code %d: %q, not %q", code, hint, want)
		}
	}
}
