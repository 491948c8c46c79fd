package statedb

import (
	"context"
	"database/sql"
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
	ctx, cancel := Within(ctx)
	defer cancel()
	var deviceID, publicPEM, privatePEM string
	var createdAtMs int64
	err := db.conn.QueryRowContext(ctx,
		`SELECT device_id, public_key_pem, private_key_pem, created_at_ms FROM device_identities WHERE identity_key = 'primary'`,
	).Scan(&deviceID, &publicPEM, &privatePEM, &createdAtMs)
	if errors.Is(err, sql.ErrNoRows) {
		return identity.Identity{}, nil
	}
	if err != nil {
		return identity.Identity{}, db.Wrap("cannot read device_identities", err)
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
	ctx, cancel := Within(ctx)
	defer cancel()
	ms := id.CreatedAt().UnixMilli()
	if err := db.Writable(ctx); err != nil {
		return err
	}
	_, err := db.conn.ExecContext(ctx,
		`INSERT INTO device_identities (identity_key, device_id, public_key_pem, private_key_pem, created_at_ms, updated_at_ms)
		 VALUES ('primary', ?, ?, ?, ?, ?) ON CONFLICT (identity_key) DO NOTHING`,
		id.DeviceID(), id.PublicPEM(), id.PrivatePEM(), ms, ms)
	return db.Wrap("cannot write device_identities", err)
}
