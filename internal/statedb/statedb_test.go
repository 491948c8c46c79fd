package statedb

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
)

func TestNoDatabaseIsEverMade(t *testing.T) {
	for name, make := range map[string]func(stateDir string) error{
		"no state directory":     os.Remove,
		"an empty one":           func(string) error { return nil },
		"a directory without it": func(dir string) error { return os.Mkdir(filepath.Join(dir, "state"), 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			if err := make(dir); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(context.Background(), dir); !errors.Is(err, fs.ErrNotExist) || errors.As(err, new(*Error)) {
				t.Errorf("got %v", err)
			}
			if _, err := os.Lstat(Path(dir)); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("there is one now: %v", err)
			}
		})
	}
}

func TestWhatIsNoRegularFileIsNeverOpened(t *testing.T) {
	for name, place := range map[string]func(path string) error{
		"a FIFO":           func(path string) error { return unix.Mkfifo(path, 0o600) },
		"a directory":      func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to one":    func(path string) error { return os.Symlink(filepath.Join(filepath.Dir(path), "real"), path) },
		"a link to no one": func(path string) error { return os.Symlink("nowhere", path) },
	} {
		for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
			t.Run(name+" at "+filepath.Base(Path(""))+suffix, func(t *testing.T) {
				dir := database(t, gatewayTables)
				path := Path(dir) + suffix
				if err := os.Rename(Path(dir), filepath.Join(filepath.Dir(path), "real")); err != nil {
					t.Fatal(err)
				}
				if suffix != "" {
					if err := os.Rename(filepath.Join(filepath.Dir(path), "real"), Path(dir)); err != nil {
						t.Fatal(err)
					}
				}
				if err := place(path); err != nil {
					t.Fatal(err)
				}
				_, err := Open(context.Background(), dir)
				if !errors.As(err, new(*Error)) || !errors.As(err, new(*atomicfile.NotRegularError)) || errors.Is(err, fs.ErrNotExist) {
					t.Errorf("got %v", err)
				}
			})
		}
	}
}

func TestALinkInPlaceOfTheFolderIsNotFollowed(t *testing.T) {
	elsewhere := database(t, gatewayTables)
	dir := t.TempDir()
	if err := os.Symlink(filepath.Join(elsewhere, "state"), filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(context.Background(), dir); !errors.As(err, new(*Error)) {
		t.Errorf("got %v", err)
	}
}

func TestAnErrorOfTheDatabaseNamesItsFile(t *testing.T) {
	dir := database(t, gatewayTables)
	if err := os.WriteFile(Path(dir), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Open(context.Background(), dir)
	var fault *Error
	if !errors.As(err, &fault) || fault.Path != Path(dir) || !strings.Contains(err.Error(), Path(dir)) {
		t.Errorf("got %v", err)
	}
	if data, err := os.ReadFile(Path(dir)); err != nil || !strings.HasPrefix(string(data), "no database ") {
		t.Errorf("it was changed: %v", err)
	}
}

func TestADatabaseOfAnotherUserIsToldWithWhatMendsIt(t *testing.T) {
	err := error(&OwnerError{Path: "/data/state/openclaw.sqlite", Owner: 1000, Self: 568})
	if got := err.Error(); got != "/data/state/openclaw.sqlite belongs to uid 1000, and this is uid 568" {
		t.Errorf("got %q", got)
	}
	var hinter interface{ Hint() string }
	if !errors.As(err, &hinter) || !strings.Contains(hinter.Hint(), "--user 1000") || !strings.Contains(hinter.Hint(), "chown -R 568") {
		t.Errorf("no hint: %v", err)
	}
}

// A journal that SQLite takes for its own is played back into the database.
func TestAFileOfAnotherUserBesideTheDatabaseIsNotOpened(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("giving files away takes root")
	}
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		dir := database(t, gatewayTables)
		path := Path(dir) + suffix
		file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o644)
		if err := errors.Join(err, file.Close(), os.Chown(Path(dir), 1000, 1000), os.Chown(path, 1001, 1001)); err != nil {
			t.Fatal(err)
		}
		for at := filepath.Dir(path); at != filepath.Dir(os.TempDir()) && at != os.TempDir(); at = filepath.Dir(at) {
			if err := os.Chmod(at, 0o755); err != nil {
				t.Fatal(err)
			}
		}
		var owner *OwnerError
		if err := checkAs(1000, Path(dir)); !errors.As(err, &owner) || owner.Path != path {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// checkAs is check as another user, on a thread that ends with it.
func checkAs(uid int, path string) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread()
		if _, _, fault := unix.RawSyscall(unix.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); fault != 0 {
			done <- fault
			return
		}
		done <- check(path)
	}()
	return <-done
}

func TestTheVersionIsThatOfTheSchema(t *testing.T) {
	for statement, want := range map[string]int{"PRAGMA user_version = 0": 0, "PRAGMA user_version = 1": 1, "PRAGMA user_version = 99": 99} {
		db := mustOpen(t, database(t, gatewayTables, statement))
		if db.Version() != want || db.Path() == "" {
			t.Errorf("%s: got %d of %q", statement, db.Version(), db.Path())
		}
	}
}

func TestReadingChangesNoByte(t *testing.T) {
	dir := database(t, gatewayTables)
	before, err := os.ReadFile(Path(dir))
	if err != nil {
		t.Fatal(err)
	}
	db, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, _, formErr := db.Misfit(ctx, IdentityForm())
	_, identityErr := db.PrimaryIdentity(ctx)
	_, _, leaseErr := db.OwnerLease(ctx)
	if err := errors.Join(formErr, identityErr, leaseErr, db.Close()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(Path(dir)); err != nil || string(after) != string(before) {
		t.Errorf("the database changed: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(Path(dir)))
	if err != nil || len(entries) != 1 {
		t.Errorf("something stayed beside it: %v, %v", entries, err)
	}
}

func TestAMisfitIsNamed(t *testing.T) {
	form := Form{Table: "odd", Columns: []string{"a", "b"}, Key: []string{"b", "a"}}
	for table, want := range map[string]string{
		`CREATE TABLE odd (a TEXT NOT NULL, b TEXT, c TEXT NOT NULL DEFAULT 'x', d TEXT, e TEXT AS (a), PRIMARY KEY (b, a))`: "",
		`CREATE TABLE other (a)`:                                                                                   "is not there",
		`CREATE VIEW odd AS SELECT 1 AS a, 2 AS b`:                                                                 "is no plain table",
		`CREATE VIRTUAL TABLE odd USING fts5(a, b)`:                                                                "is no plain table",
		`CREATE TABLE odd (a, c, PRIMARY KEY (c, a))`:                                                              `lacks ["b"]`,
		`CREATE TABLE odd (a, b AS (a), c, PRIMARY KEY (c, a))`:                                                    `lacks ["b"]`,
		`CREATE TABLE odd (a, b, c NOT NULL, d, PRIMARY KEY (b, a))`:                                               `must be given and are not known: ["c"]`,
		`CREATE TABLE odd (a, b, PRIMARY KEY (a, b))`:                                                              "another primary key",
		`CREATE TABLE odd (a, b UNIQUE)`:                                                                           "another primary key",
		`CREATE TABLE odd (a, b, c, PRIMARY KEY (b, a, c))`:                                                        "another primary key",
		`CREATE TABLE odd (a, b, PRIMARY KEY (b, a)); CREATE TRIGGER more AFTER INSERT ON Odd BEGIN SELECT 1; END`: `has a trigger, "more"`,
	} {
		db := mustOpen(t, database(t, table))
		_, got, err := db.Misfit(context.Background(), form)
		if err != nil || (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, %v; want %q", table, got, err, want)
		}
	}
}

// Of several tables the first misfit is named, in their order, and a trigger on one is none
// of another's.
func TestOfManyTablesTheFirstMisfitIsNamed(t *testing.T) {
	forms := []Form{
		{Table: "read", Columns: []string{"a"}},
		{Table: "good", Columns: []string{"a"}, Key: []string{"a"}},
		{Table: "bad", Columns: []string{"a", "b"}, Key: []string{"a"}},
		{Table: "worse", Columns: []string{"a"}, Key: []string{"a"}},
	}
	db := mustOpen(t, database(t, `CREATE TABLE good (a PRIMARY KEY); CREATE TABLE bad (a PRIMARY KEY);
		CREATE TABLE other (a); CREATE TRIGGER t AFTER INSERT ON other BEGIN SELECT 1; END`))
	if table, how, err := db.Misfit(t.Context(), forms...); table != "bad" || !strings.Contains(how, "lacks") || err != nil {
		t.Errorf("got %q %q, %v", table, how, err)
	}
	if table, how, err := db.Misfit(t.Context(), forms[:2]...); table != "" || how != "" || err != nil {
		t.Errorf("got %q %q, %v", table, how, err)
	}
}

func TestTheDatabaseKnowsWhenItWasMade(t *testing.T) {
	for name, c := range map[string]struct {
		statement string
		want      int64
	}{
		"by its own record": {"SELECT 1", 1795369680111},
		"without a row":     {"DELETE FROM schema_meta", 0},
		"without a table":   {"DROP TABLE schema_meta", 0},
	} {
		t.Run(name, func(t *testing.T) {
			db := mustOpen(t, database(t, gatewayTables, c.statement))
			if got, err := db.CreatedAtMs(context.Background()); err != nil || got != c.want {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func TestAPathWithOddCharactersIsOpenedAsItIs(t *testing.T) {
	dir := database(t, gatewayTables)
	for _, name := range []string{"a b", "50%", "a?mode=memory", "a#b", "ä", "a%20b"} {
		odd := filepath.Join(t.TempDir(), name)
		if err := os.MkdirAll(odd, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.CopyFS(odd, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if db := mustOpen(t, odd); db.Version() != 18 {
			t.Errorf("%q: another database was opened, of version %d", name, db.Version())
		}
	}
}

func TestAContextThatHasEndedIsAnError(t *testing.T) {
	ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
	defer cancel()
	if _, err := Open(ctx, database(t, gatewayTables)); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

// leftLog is a state directory whose gateway was killed: what it wrote last is in the
// -wal alone.
func leftLog(t *testing.T) (stateDir string) {
	t.Helper()
	live := database(t, gatewayTables)
	gateway, err := sql.Open("sqlite", Path(live))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = gateway.Close() }()
	if _, err := gateway.Exec("UPDATE schema_meta SET created_at = 7"); err != nil {
		t.Fatal(err)
	}
	stateDir = t.TempDir()
	if err := os.CopyFS(stateDir, os.DirFS(live)); err != nil {
		t.Fatal(err)
	}
	return stateDir
}

func TestReadingLeavesTheLogOfAKilledGatewayAsItIs(t *testing.T) {
	dir := leftLog(t)
	content := func() string {
		database, err := os.ReadFile(Path(dir))
		log, logErr := os.ReadFile(Path(dir) + "-wal")
		if err := errors.Join(err, logErr); err != nil {
			t.Fatal(err)
		}
		return string(database) + string(log)
	}
	before := content()
	for range 2 {
		db, err := Open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		created, err := db.CreatedAtMs(context.Background())
		if err := errors.Join(err, db.Close()); err != nil || created != 7 {
			t.Errorf("what is in the log is not seen: %d, %v", created, err)
		}
		if content() != before {
			t.Fatal("reading changed the database or its log")
		}
	}
}

func TestWhatWasOpenedForReadingCanBeWrittenTo(t *testing.T) {
	dir := leftLog(t)
	id, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	db := mustOpen(t, dir)
	if err := db.StorePrimaryIdentity(context.Background(), id); err != nil {
		t.Fatal(err)
	}
	if kept, err := db.PrimaryIdentity(context.Background()); err != nil || !kept.Equal(id) {
		t.Errorf("got %v, %v", kept.DeviceID(), err)
	}
	if created, err := mustOpen(t, dir).CreatedAtMs(context.Background()); err != nil || created != 7 {
		t.Errorf("what the gateway wrote is gone: %d, %v", created, err)
	}
}

// Between the opening and the writing another user may have put a database there.
func TestWhatIsNoRegularFileByThenIsNotWrittenTo(t *testing.T) {
	dir := leftLog(t)
	db := mustOpen(t, dir)
	if err := os.Rename(Path(dir), Path(dir)+".real"); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(Path(dir)+".real", Path(dir)); err != nil {
		t.Fatal(err)
	}
	if err := db.writable(context.Background()); !errors.As(err, new(*atomicfile.NotRegularError)) {
		t.Errorf("got %v", err)
	}
}

// The prover of a gateway that ends has to end, too.
func TestAPipeIsNoDatabaseAndIsNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	if err := errors.Join(os.Mkdir(filepath.Join(dir, "state"), 0o700), unix.Mkfifo(Path(dir), 0o600)); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() {
		booted, err := Booted(t.Context(), dir)
		if booted {
			err = errors.Join(err, errors.New("a pipe is a database"))
		}
		done <- err
	}()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("it waits for a writer")
	}
}
