package seed

import (
	"context"
	"database/sql"

	"github.com/reflectt/bootstrap/internal/statedb"
)

const deleteQuery = `DELETE FROM device_pairing_paired WHERE device_id = ?`

func (s *sqliteStore) remove(ctx context.Context, deviceIDs ...string) (bool, error) {
	if len(deviceIDs) == 0 {
		return false, nil
	}
	ctx, cancel := statedb.Within(ctx)
	defer cancel()
	tx, err := s.begin(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = tx.Rollback() }()
	removed, err := s.deleteRows(ctx, tx, deviceIDs)
	if err != nil || removed == 0 {
		return false, err
	}
	return true, s.fail(s.db.Wrap("cannot commit", tx.Commit()))
}

// begin begins to write.
func (s *sqliteStore) begin(ctx context.Context) (*sql.Tx, error) {
	if err := s.db.Writable(ctx); err != nil {
		return nil, s.fail(err)
	}
	tx, err := s.db.Conn().BeginTx(ctx, nil)
	return tx, s.fail(s.db.Wrap("cannot begin to write", err))
}

// deleteRows tells how many of the devices' rows were there.
func (s *sqliteStore) deleteRows(ctx context.Context, tx *sql.Tx, deviceIDs []string) (removed int64, err error) {
	if len(deviceIDs) == 0 {
		return 0, nil
	}
	statement, err := tx.PrepareContext(ctx, deleteQuery)
	if err != nil {
		return 0, s.fail(s.db.Wrap("cannot write device_pairing_paired", err))
	}
	defer func() { _ = statement.Close() }()
	for _, id := range deviceIDs {
		result, err := statement.ExecContext(ctx, id)
		if err != nil {
			return removed, s.fail(s.db.Wrap("cannot write device_pairing_paired", err))
		}
		n, err := result.RowsAffected()
		if err != nil {
			return removed, s.fail(err)
		}
		removed += n
	}
	return removed, nil
}
