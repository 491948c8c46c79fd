package cli

import (
	"bytes"
	"context"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// lock DIR holds the lock of a state directory to the end, as another bootstrap does.
func lock(ts *testscript.TestScript, _ bool, args []string) {
	held, err := atomicfile.Acquire(context.Background(), filepath.Join(ts.MkAbs(args[0]), "bootstrap", "lock"), 0)
	ts.Check(err)
	ts.Defer(held.Release)
}

// patience is how long something that is sure to come may take.
const patience = 30 * time.Second

// waitfor FILE TEXT waits until a file holds a text.
func waitFor(ts *testscript.TestScript, _ bool, args []string) {
	path, text := ts.MkAbs(args[0]), args[1]
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if data, err := os.ReadFile(path); err == nil && strings.Contains(string(data), text) {
			return
		}
	}
	ts.Fatalf("%s does not hold %q after %s", args[0], text, patience)
}

// withDatabase opens the database of a state directory, and closes it again.
func withDatabase(ts *testscript.TestScript, stateDir string, do func(*sql.DB) error) {
	path := filepath.Join(ts.MkAbs(stateDir), "state", "openclaw.sqlite")
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o700))
	db, err := sql.Open("sqlite", path)
	ts.Check(err)
	err = do(db)
	ts.Check(db.Close())
	ts.Check(err)
}

// database DIR [SQL...] makes the database of 2026.9.6 in a state directory where
// there is none, and runs the statements.
func makeDatabase(ts *testscript.TestScript, _ bool, args []string) {
	tables, err := os.ReadFile("../statedb/testdata/gateway.sql")
	ts.Check(err)
	_, err = os.Stat(filepath.Join(ts.MkAbs(args[0]), "state", "openclaw.sqlite"))
	withDatabase(ts, args[0], func(db *sql.DB) error {
		statements := args[1:]
		if err != nil {
			statements = append([]string{string(tables)}, statements...)
		}
		for _, statement := range statements {
			if _, err := db.Exec(statement); err != nil {
				return fmt.Errorf("%s: %w", statement, err)
			}
		}
		return nil
	})
}

// query DIR SQL writes the one column that is asked for, a line a row.
func query(ts *testscript.TestScript, _ bool, args []string) {
	withDatabase(ts, args[0], func(db *sql.DB) error {
		rows, err := db.Query(args[1])
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var value any
			if err := rows.Scan(&value); err != nil {
				return err
			}
			fmt.Fprintln(ts.Stdout(), value)
		}
		return rows.Err()
	})
}

// beyondPIDs is a process number that Linux never gives (the most is 2^22).
const beyondPIDs = 1<<22 + 1

// lease DIR HOST PID SECONDS writes an owner lease. HOST may be "here"; PID may
// be "alive", "reused" or "dead". $EXPIRES is its end in Unix milliseconds.
func lease(ts *testscript.TestScript, _ bool, args []string) {
	host, pid, startedAt := args[1], beyondPIDs, int64(1)
	if host == "here" {
		name, err := os.Hostname()
		ts.Check(err)
		host = name
	}
	switch args[2] {
	case "alive":
		pid, startedAt = os.Getpid(), ownStart(ts)
	case "reused":
		pid, startedAt = os.Getpid(), ownStart(ts)-1
	}
	seconds, err := strconv.Atoi(args[3])
	ts.Check(err)
	now := time.Now()
	expires := now.Add(time.Duration(seconds) * time.Second).UnixMilli()
	payload := fmt.Sprintf(`{"owner":{"pid":%d,"host":%q,"startedAt":%d},"port":18789}`, pid, host, startedAt)
	withDatabase(ts, args[0], func(db *sql.DB) error {
		_, err := db.Exec(`INSERT INTO state_leases VALUES ('gateway-owner', 'global', 'someone', ?, ?, ?, ?, ?)`,
			expires, now.UnixMilli(), payload, now.UnixMilli(), now.UnixMilli())
		return err
	})
	ts.Setenv("EXPIRES", strconv.FormatInt(expires, 10))
}

// ownStart is when this process started: field 22 of /proc/self/stat.
func ownStart(ts *testscript.TestScript) int64 {
	data, err := os.ReadFile("/proc/self/stat")
	ts.Check(err)
	fields := bytes.Fields(data[bytes.LastIndexByte(data, ')')+1:])
	start, err := strconv.ParseInt(string(fields[22-3]), 10, 64)
	ts.Check(err)
	return start
}

// tls serves with a certificate that nobody trusts, at $TLS_URL.
func serveTLS(ts *testscript.TestScript, _ bool, _ []string) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	ts.Defer(server.Close)
	ts.Setenv("TLS_URL", "wss"+strings.TrimPrefix(server.URL, "https"))
}
