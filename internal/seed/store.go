package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// Kind names a pairing store.
type Kind string

// The two stores that gateways have had.
const (
	JSON   Kind = "json"   // devices/paired.json, up to 2026.7.35
	SQLite Kind = "sqlite" // state/openclaw.sqlite, from 2026.8.1 and the 2026.7.2 betas on
)

// Info tells which store counts, where it is, and why it is that one.
type Info struct {
	Kind Kind
	Path string
	Why  string
}

func infoOf(s store) Info { return Info{Kind: s.kind(), Path: s.path(), Why: s.why()} }

// store is a pairing store; the flow does not know which one it has.
type store interface {
	kind() Kind
	path() string
	// why says in a few words how it was decided that this store counts.
	why() string
	// mark tells this store from a later one in the same place: a volume that
	// was emptied, or restored from a backup. Empty where there is no store yet.
	mark(ctx context.Context) (string, error)
	// lastingMark is the mark for the ledger, after making sure that no later
	// write of a gateway changes it.
	lastingMark(ctx context.Context) (string, error)
	// identity reads the state directory's own device, zero where there is none.
	identity(ctx context.Context) (identity.Identity, error)
	// keepIdentity stores an identity where the gateway looks for one, unless
	// one is there, and returns the one that is then there.
	keepIdentity(ctx context.Context, id identity.Identity) (identity.Identity, error)
	// lookup returns the entries that are there, by device id.
	lookup(ctx context.Context, ids []string) (map[string]entry, error)
	// list returns every entry, by device id.
	list(ctx context.Context) (map[string]entry, error)
	// identityPath is where that device is kept.
	identityPath() string
	// imported tells whether a gateway took the device over from the files.
	imported(ctx context.Context, deviceID string) (bool, error)
	// remove takes devices out, all in one step; false where none of them is there.
	remove(ctx context.Context, deviceIDs ...string) (bool, error)
	// update reads, merges and writes the entries of the given devices (by id),
	// and takes those of the ids in without out, all in one step; change is called
	// for each device, and counts as of the last time. Those that were known and are
	// gone are left out, and returned.
	update(ctx context.Context, devices map[string]Device, without []string, change func(*entry, Device)) (gone []string, err error)
	// localToken is the operator token that the CLI in this directory has, and its
	// scopes; empty where it has none for this device.
	localToken(ctx context.Context, deviceID string) (token string, scopes []string, err error)
	// keepLocalToken gives the CLI in this directory the entry's token.
	keepLocalToken(ctx context.Context, deviceID string, e entry) error
	close() error
}

// StoreError says that a pairing store, or a file of ours beside it, cannot be
// used. What was there is still there.
type StoreError struct {
	Path string
	Err  error
	// Fix is the next thing to do, where there is something to say.
	Fix string
}

// Unusable is a [StoreError] about a path; nil where err is.
func Unusable(path string, err error) error {
	if err == nil {
		return nil
	}
	return &StoreError{Path: path, Err: err}
}

func (e *StoreError) Error() string {
	why := e.Err
	if database, is := errors.AsType[*statedb.Error](why); is {
		why = database.Err // which names the same file
	}
	return "cannot use the pairing store " + e.Path + ": " + why.Error()
}
func (e *StoreError) Class() string { return "store" }
func (e *StoreError) Unwrap() error { return e.Err }

// Hint is what to do about it: what the volume needs comes first.
func (e *StoreError) Hint() string {
	if fix := atomicfile.HintFor(e.Path, e.Err); fix != "" {
		return fix
	}
	if database, is := errors.AsType[*statedb.Error](e.Err); is && database.Hint() != "" {
		return database.Hint()
	}
	return e.Fix
}

// firstSQLiteVersion is the schema (PRAGMA user_version) from which on the
// database counts. 2026.6.11 and 2026.7.1 make one of version 1, with the same
// tables, and never look at it.
const firstSQLiteVersion = 2

// openStore decides where to write: the database decides, by its schema. A
// JSON-era release on a volume that a later one has migrated reads the files.
func openStore(ctx context.Context, options Options) (store, error) {
	files := filesOf(options)
	if !HasDatabase(options.StateDir) {
		return files, nil
	}
	if err := AwaitBoot(ctx, options); err != nil {
		return nil, err
	}
	db, err := openSettled(ctx, options.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return files, nil
	case err != nil:
		return nil, &StoreError{Path: statedb.Path(options.StateDir), Err: err}
	case db.Version() < firstSQLiteVersion:
		if !files.staged {
			files.reason = fmt.Sprintf("the database is of version %d, which no gateway uses", db.Version())
		}
		return files, db.Close()
	case options.Era == gateway.EraJSON:
		return downgraded(ctx, files, db)
	}
	files.staged = false
	opened := &sqliteStore{
		db: db, files: files, staged: stagedIn(options.StateDir),
		migrated: &jsonStore{stateDir: options.StateDir, suffix: ".migrated"},
	}
	if err := opened.checkSchema(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return opened, nil
}

// fromStore reads something of the store that counts, which it opens for that.
func fromStore[T any](ctx context.Context, options Options, read func(store) (T, error)) (result T, err error) {
	opened, err := openStore(ctx, options)
	if err != nil {
		return result, err
	}
	result, err = read(opened)
	return result, errors.Join(err, opened.close())
}

// openSettled opens the database. One of version 0 is being made at this moment,
// by a first boot that has looked for files already: what is written as a file
// now, 2026.8.2 and 2026.9.6 refuse ("Legacy device identity exists").
func openSettled(ctx context.Context, stateDir string) (*statedb.DB, error) {
	for try := 0; ; try++ {
		db, err := statedb.Open(ctx, stateDir)
		if err != nil || db.Version() > 0 || try == 60 {
			return db, err
		}
		if err := db.Close(); err != nil {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// downgraded is the file store of a directory whose device lives in a database.
func downgraded(ctx context.Context, files *jsonStore, db *statedb.DB) (store, error) {
	primary, err := db.PrimaryIdentity(ctx)
	if err := errors.Join(err, db.Close()); err != nil {
		return nil, err
	}
	files.migrated = primary
	files.reason = "the installed release reads files, though a later one has made a database"
	return files, nil
}

// SchemaError says that a gateway made this database in a form that is not
// known. It is left alone.
type SchemaError struct{ What string }

func (e *SchemaError) Error() string { return e.What }

func unknownSchema(path, what string) error {
	return &StoreError{
		Path: path, Err: &SchemaError{What: what},
		Fix: "this gateway is newer than this bootstrap: use a newer bootstrap, or pair by hand: openclaw devices approve REQUEST_ID",
	}
}
