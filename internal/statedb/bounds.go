package statedb

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

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

// Within is a context for one thing that is asked of the database, which has 30 s.
func Within(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, patience, fmt.Errorf("the database has not answered within %s", patience))
}
