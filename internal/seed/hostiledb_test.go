package seed_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// Whoever can write a volume can write the database in it. It must not keep
// bootstrap busy without end, or fill its memory, or do more than it is asked.
const endless = `(WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c)`

func TestADatabaseThatDoesMoreThanItIsAskedIsLeftAlone(t *testing.T) {
	for name, script := range map[string]string{
		"a trigger without end on our table":        `CREATE TRIGGER t BEFORE INSERT ON device_pairing_paired BEGIN SELECT ` + endless + `; END`,
		"a trigger on the tokens":                   `CREATE TRIGGER t AFTER INSERT ON device_auth_tokens BEGIN DELETE FROM device_pairing_paired; END`,
		"a trigger on the identities":               `CREATE TRIGGER t AFTER INSERT ON device_identities BEGIN SELECT ` + endless + `; END`,
		"a trigger that names it in other letters":  `CREATE TRIGGER t AFTER INSERT ON Device_Pairing_PAIRED BEGIN DELETE FROM device_identities; END`,
		"a view without end in the pairings' place": `DROP TABLE device_pairing_paired; CREATE VIEW device_pairing_paired AS SELECT 'a' AS device_id, 'b' AS public_key, '' AS display_name, '' AS client_id, '' AS client_mode, '' AS role, '[]' AS roles_json, '[]' AS scopes_json, '[]' AS approved_scopes_json, '{}' AS tokens_json, '' AS approved_via, ` + endless + ` AS created_at_ms, 1 AS approved_at_ms`,
		"a view in the identities' place":           `DROP TABLE device_identities; CREATE VIEW device_identities AS SELECT 'primary' AS identity_key, 'a' AS device_id, '' AS public_key_pem, '' AS private_key_pem, ` + endless + ` AS created_at_ms, 1 AS updated_at_ms`,
		"a virtual table in the tokens' place":      `DROP TABLE device_auth_tokens; CREATE VIRTUAL TABLE device_auth_tokens USING fts5(device_id, role, token, scopes_json, updated_at_ms)`,
	} {
		t.Run(name, func(t *testing.T) {
			stateDir := database(t, gatewayTables(t)+script)
			_, err := pairSelf(t, options(stateDir), "operator.read")
			var unknown *seed.SchemaError
			if !errors.As(err, &unknown) {
				t.Errorf("the error is %v", err)
			}
			if _, err := seed.Take(context.Background(), options(stateDir)); !errors.As(err, &unknown) {
				t.Errorf("the survey's error is %v", err)
			}
		})
	}
}

func TestARowThatIsLargerThanAnyIsNotRead(t *testing.T) {
	for name, script := range map[string]string{
		"one row": `INSERT INTO device_pairing_paired (device_id, public_key, tokens_json, created_at_ms, approved_at_ms) VALUES ('aa', 'k', CAST(zeroblob(20000000) AS TEXT), 1, 1)`,
		"more rows than any": `INSERT INTO device_pairing_paired (device_id, public_key, created_at_ms, approved_at_ms)
			WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300001) SELECT x, '', 1, 1 FROM c`,
		"many rows": `INSERT INTO device_pairing_paired (device_id, public_key, display_name, created_at_ms, approved_at_ms)
			WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 18) SELECT x, 'k', printf('%.*c', 16000000, 'a'), 1, 1 FROM c`,
	} {
		t.Run(name, func(t *testing.T) {
			if name != "one row" && testing.Short() {
				t.Skip("skipped under -short: a large database")
			}
			stateDir := database(t, gatewayTables(t)+script)
			_, err := seed.Take(context.Background(), options(stateDir))
			var unusable *seed.StoreError
			if !errors.As(err, &unusable) || !strings.Contains(unusable.Hint(), "larger than") {
				t.Errorf("the error is %v", err)
			}
			// It is somebody else's, so it does not keep us out.
			if result, err := pairSelf(t, options(stateDir), "operator.read"); err != nil || result.Outcome != seed.Created {
				t.Errorf("it was %s, %v", result.Outcome, err)
			}
		})
	}
}
