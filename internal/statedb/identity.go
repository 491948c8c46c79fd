package statedb

import (
	"context"
	"errors"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// PrimaryIdentity reads the state directory's own device, the row "primary" of
// device_identities; the zero identity where there is none. A row that does
// not hold is an [identity.Error]: a gateway refuses it too.
func (db *DB) PrimaryIdentity(ctx context.Context) (identity.Identity, error) {
	if has, err := db.hasTable(ctx, "device_identities"); !has {
		return identity.Identity{}, err
	}
	var deviceID, publicPEM, privatePEM string
	var createdAtMs int64
	found, err := db.Row(ctx, Query{
		Table: "device_identities",
		SQL:   `SELECT device_id, public_key_pem, private_key_pem, created_at_ms FROM device_identities WHERE identity_key = 'primary'`,
	}, &deviceID, &publicPEM, &privatePEM, &createdAtMs)
	if err != nil || !found {
		return identity.Identity{}, err
	}
	id, err := identity.FromRecord(deviceID, publicPEM, privatePEM, time.UnixMilli(createdAtMs))
	if fault := (*identity.Error)(nil); errors.As(err, &fault) {
		fault.Path = db.path + " (device_identities, primary)"
	}
	return id, err
}

// StorePrimaryIdentity adds the row "primary" where there is none. It never
// replaces one: the gateway may have made its own meanwhile, so the caller
// reads again.
func (db *DB) StorePrimaryIdentity(ctx context.Context, id identity.Identity) error {
	ms := id.CreatedAt().UnixMilli()
	return db.Change(ctx, func(ctx context.Context, tx Tx) error {
		_, err := tx.Write(ctx, Query{
			Table: "device_identities",
			SQL: `INSERT INTO device_identities (identity_key, device_id, public_key_pem, private_key_pem, created_at_ms, updated_at_ms)
			      VALUES ('primary', ?, ?, ?, ?, ?) ON CONFLICT (identity_key) DO NOTHING`,
			Args: []any{id.DeviceID(), id.PublicPEM(), id.PrivatePEM(), ms, ms},
		})
		return err
	})
}
