package statedb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

const endless = `WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c`

// A query that does not end by itself ends with its context, and says why.
func TestADatabaseThatDoesNotAnswerIsGivenUp(t *testing.T) {
	db := mustOpen(t, database(t, gatewayTables))
	ctx, cancel := within(context.Background())
	deadline, limited := ctx.Deadline()
	cancel()
	if !limited || time.Until(deadline) > patience {
		t.Errorf("it has until %v", deadline)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	_, err := db.Row(ctx, Query{Table: "it", SQL: endless}, new(int))
	var fault *Error
	if !errors.As(err, &fault) || !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(fault.Hint(), "takes that long") {
		t.Errorf("the error is %v", err)
	}
}

func TestAValueThatIsLargerThanAnyIsNotRead(t *testing.T) {
	db := mustOpen(t, database(t, gatewayTables, `INSERT INTO schema_meta VALUES ('x', printf('%.*c', 17000000, 'a'), 1, NULL, NULL, 1, 1)`))
	var text string
	_, err := db.Row(context.Background(), Query{Table: "schema_meta", SQL: `SELECT role FROM schema_meta WHERE meta_key = 'x'`}, &text)
	if fault := (*Error)(nil); !errors.As(err, &fault) || !strings.Contains(fault.Hint(), "larger than any") {
		t.Errorf("the error is %v, of %d bytes", err, len(text))
	}
}

// The owner lease and the mark are read before the schema is judged.
func TestWhatIsNoPlainTableCountsAsNone(t *testing.T) {
	for name, script := range map[string]string{
		"a view":          `CREATE VIEW state_leases AS ` + endless,
		"a virtual table": `CREATE VIRTUAL TABLE state_leases USING fts5(scope, lease_key, expires_at, payload_json)`,
	} {
		t.Run(name, func(t *testing.T) {
			dir := database(t, gatewayTables, `DROP TABLE state_leases`, script)
			if _, held, err := mustOpen(t, dir).OwnerLease(context.Background()); held || err != nil {
				t.Errorf("a lease: %v, %v", held, err)
			}
		})
	}
}
