// Package statedb owns how the gateway's SQLite database is opened, read and changed
// ([DB.Row], [DB.Each], [DB.Change]), and the few rows in it that are not pairing: the
// schema, the primary device identity and the owner lease.
//
// The database belongs to the gateway. This package never creates it, never
// runs DDL, and changes no pragma that the file keeps. The facts about it were
// measured on 2026.6.11, 2026.7.1, 2026.8.2 and 2026.9.6.
package statedb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite" // a driver in pure Go that keeps the owner of -wal and -shm
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Path is where a gateway with the given state directory keeps its database.
func Path(stateDir string) string {
	return filepath.Join(stateDir, "state", "openclaw.sqlite")
}

// DB is one open connection to a gateway's database.
type DB struct {
	path string
	pool *sql.DB
	conn *sql.Conn
	// version is PRAGMA user_version.
	version int
	// readOnly: see [DB.writable].
	readOnly bool
}

// Error says that the database at Path cannot serve. Nothing was changed.
type Error struct {
	Path string
	Err  error
}

func (e *Error) Error() string {
	return "cannot use the gateway's database " + e.Path + ": " + e.Err.Error()
}
func (e *Error) Class() string { return "store" }
func (e *Error) Unwrap() error { return e.Err }

// Hint is what to do about it; empty where nothing sensible can be said.
func (e *Error) Hint() string {
	if fix := atomicfile.HintFor(e.Path, e.Err); fix != "" {
		return fix
	}
	if owner := (*OwnerError)(nil); errors.As(e.Err, &owner) {
		return owner.Hint()
	}
	if errors.Is(e.Err, context.DeadlineExceeded) {
		return "no gateway's database takes that long: look at it (sqlite3 FILE .schema), or restore it from a backup, together with its -wal file"
	}
	var fault *sqlite.Error
	if !errors.As(e.Err, &fault) {
		return ""
	}
	return hintFor(fault.Code(), e.Path)
}

// hintFor is what to do about an SQLite result code of the database at path.
func hintFor(code int, path string) string {
	switch code & 0xff { // the extended part says more than is needed
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return "another process keeps it locked: end it, or try again"
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return "restore " + shell.Quote(path) + " from a backup, together with its -wal file"
	case sqlite3.SQLITE_TOOBIG:
		return "a value in it is larger than any that a gateway writes: remove that row, or restore a backup"
	case sqlite3.SQLITE_FULL:
		return atomicfile.HintFor(path, unix.ENOSPC)
	case sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN:
		// SQLite says no more where there is no room for its -wal or its -shm.
		if isFull(filepath.Dir(path)) {
			return atomicfile.HintFor(path, unix.ENOSPC)
		}
		// Nor where no descriptor is left for them.
		if limit := limitReached(filepath.Dir(path)); limit != nil {
			return atomicfile.HintFor(path, limit)
		}
	}
	switch code & 0xff {
	case sqlite3.SQLITE_IOERR:
		return atomicfile.HintFor(path, unix.EIO)
	case sqlite3.SQLITE_PROTOCOL:
		return "the volume does not lock files as SQLite wants it: use a local disk, or a network filesystem with locks (NFS 4); if it is one, try again"
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return "look at the rights of " + shell.Quote(filepath.Dir(path)) + " (ls -la), and whether the volume is mounted read-write"
	}
	return ""
}

// leastRoom is what an open database needs: 32 KiB of -shm, and a -wal.
const leastRoom = 64 << 10

// isFull tells whether a filesystem has no room, or no inode, left for that.
func isFull(path string) bool {
	var stat unix.Statfs_t
	if unix.Statfs(path, &stat) != nil {
		return false
	}
	return stat.Bavail*uint64(stat.Bsize) < leastRoom || (stat.Files > 0 && stat.Ffree == 0)
}

// limitReached is the limit on open files, where a directory cannot be opened for it.
func limitReached(directory string) error {
	file, err := os.Open(directory)
	if err == nil {
		return file.Close()
	}
	if errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE) {
		return err
	}
	return nil
}

// OutOfReach tells that the database belongs to somebody else, or stays locked:
// it is not broken. A full volume is no matter of who asks.
func (e *Error) OutOfReach() bool {
	if errors.As(e.Err, new(*OwnerError)) {
		return true
	}
	var fault *sqlite.Error
	if !errors.As(e.Err, &fault) || isFull(filepath.Dir(e.Path)) {
		return false
	}
	switch fault.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM:
		return true
	}
	return false
}

// Exists tells whether there is a database below a state directory, or something in its
// place over which [Open] fails.
func Exists(stateDir string) bool { return !errors.Is(check(Path(stateDir)), fs.ErrNotExist) }

// Open opens the database below a state directory, for reading, and for writing after
// [DB.writable]. The error wraps [fs.ErrNotExist] where there is none, and is an
// [Error] otherwise.
//
// A gateway leaves a -wal behind, even 2026.9.6 after "completed cleanly". The last
// connection that could write folds that into the database when it closes, with
// three fsyncs, though nothing was changed; one that could not leaves it as it is,
// with the -shm that SQLite needs to read it.
// Where there is none to fold, a connection that can write is the one that leaves
// neither a -wal nor a -shm behind.
func Open(ctx context.Context, stateDir string) (*DB, error) {
	path := Path(stateDir)
	if err := check(path); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		return nil, &Error{Path: path, Err: err}
	}
	if hasLog(path) {
		if db, err := open(ctx, path, "ro"); err == nil {
			db.readOnly = true
			return db, nil
		}
	}
	db, err := open(ctx, path, "rw")
	if err != nil {
		return nil, &Error{Path: path, Err: err}
	}
	return db, nil
}

// hasLog tells whether there is something in the -wal.
func hasLog(path string) bool {
	info, err := os.Lstat(path + "-wal")
	return err == nil && info.Size() > 0
}

// writable makes sure that the connection can write. Rows that were read before may
// have changed since; who writes reads them again in its transaction.
func (db *DB) writable(ctx context.Context) error {
	if !db.readOnly {
		return nil
	}
	if err := check(db.path); err != nil {
		return &Error{Path: db.path, Err: err}
	}
	now, err := open(ctx, db.path, "rw")
	if err != nil {
		return &Error{Path: db.path, Err: err}
	}
	before := *db
	*db = *now
	return before.Close()
}

func open(ctx context.Context, path, mode string) (*DB, error) {
	// busy_timeout as the gateway has it; never rwc, so that no database is ever made;
	// what is in the schema may call no function that reaches out of the database.
	dsn := url.URL{Scheme: "file", Path: path, RawQuery: "mode=" + mode + "&_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=trusted_schema(0)"}
	pool, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, err
	}
	pool.SetMaxOpenConns(1)
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	db := &DB{path: path, pool: pool, conn: conn}
	if err := bound(conn); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	ctx, cancel := within(ctx)
	defer cancel()
	if err := conn.QueryRowContext(ctx, "PRAGMA user_version").Scan(&db.version); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// check refuses what must not be opened: anything that is not a regular file,
// and a database of another user, beside which SQLite would leave a -wal and a
// -shm that the gateway could not write. SQLite opens a -journal too, whatever it is, and
// plays it back where it takes it for one that a crash has left.
func check(path string) error {
	if err := checkFolder(filepath.Dir(path)); err != nil {
		return err
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		var stat unix.Stat_t
		err := unix.Lstat(path+suffix, &stat)
		switch {
		case errors.Is(err, fs.ErrNotExist) && suffix != "":
			continue
		case err != nil:
			return &fs.PathError{Op: "lstat", Path: path + suffix, Err: err}
		case stat.Mode&unix.S_IFMT != unix.S_IFREG:
			return &atomicfile.NotRegularError{Path: path + suffix, Kind: "something else"}
		}
		if uid := os.Geteuid(); uid != 0 && int(stat.Uid) != uid {
			return &OwnerError{Path: path + suffix, Owner: int(stat.Uid), Self: uid}
		}
	}
	return nil
}

func checkFolder(path string) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return &atomicfile.NotRegularError{Path: path, Kind: "no directory", Want: "a directory"}
	}
	return nil
}

// OwnerError says that a file of the database belongs to another user.
type OwnerError struct {
	Path        string
	Owner, Self int // uids
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("%s belongs to uid %d, and this is uid %d", e.Path, e.Owner, e.Self)
}

// Hint is what fixes it.
func (e *OwnerError) Hint() string {
	return fmt.Sprintf("as root: chown -R %d %s; or run as that user: docker run --user %d", e.Self, shell.Quote(filepath.Dir(filepath.Dir(e.Path))), e.Owner)
}

// Path is the database file's path.
func (db *DB) Path() string { return db.path }

// Version is PRAGMA user_version: 0 or 1 up to 2026.7.35, where the tables
// exist but are not used, and 2 or more from 2026.7.2-beta.1 and 2026.8.1 on.
func (db *DB) Version() int { return db.version }

// Close ends the connection. Where it was the last one, and one that could write,
// SQLite folds the -wal into the database and removes it, as after any clean end.
func (db *DB) Close() error {
	return db.wrap("cannot close it", errors.Join(db.conn.Close(), db.pool.Close()))
}

// Whoever can write the volume can write the database: what it asks of us is
// bounded.
const (
	// maxValue in bytes bounds each value, row and statement: a device's row has
	// some 2,000 (2026.9.6).
	maxValue = 16 << 20
	// patience is how long one thing that we ask of it may take. A gateway's own
	// write is waited for 5 s (busy_timeout).
	patience = 30 * time.Second
)

// bound sets the connection's limits, before anything is read.
func bound(conn *sql.Conn) error {
	_, err := sqlite.Limit(conn, sqlite3.SQLITE_LIMIT_LENGTH, maxValue)
	return err
}

// within is a context for one thing that is asked of the database, which has 30 s.
func within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, patience, fmt.Errorf("the database has not answered within %s", patience))
}
