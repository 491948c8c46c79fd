package seed

import (
	"context"
	"fmt"

	"github.com/reflectt/bootstrap/internal/statedb"
)

// checkSchema refuses, before anything is written, what a later write would fail
// on or do more in.
func (s *sqliteStore) checkSchema(ctx context.Context) error {
	paired := statedb.Form{Table: "device_pairing_paired", Key: []string{"device_id"}}
	for _, c := range pairedColumns() {
		paired.Columns = append(paired.Columns, c.name)
	}
	tokens := statedb.Form{
		Table:   "device_auth_tokens",
		Columns: []string{"device_id", "role", "token", "scopes_json", "updated_at_ms"},
		Key:     []string{"device_id", "role"},
	}
	for _, form := range append(statedb.ReadForms(), paired, tokens, statedb.IdentityForm()) {
		misfit, err := s.db.Misfit(ctx, form)
		if err != nil {
			return s.fail(err)
		}
		if misfit != "" {
			return unknownSchema(s.path(), fmt.Sprintf("table %s %s (schema version %d)", form.Table, misfit, s.db.Version()))
		}
	}
	return nil
}
