package seed

import (
	"context"
	"errors"
	"io/fs"

	"github.com/reflectt/bootstrap/internal/statedb"
)

// Lease is a gateway's owner lease on a state directory.
type Lease = statedb.Lease

// What is known of the gateway that a lease names.
const (
	HolderGone    = statedb.HolderGone
	HolderAlive   = statedb.HolderAlive
	HolderUnknown = statedb.HolderUnknown
)

// ReadLease reads the owner lease of a state directory; false where nobody has it.
func ReadLease(ctx context.Context, options Options) (lease Lease, held bool, err error) {
	if !HasDatabase(options.StateDir) {
		return lease, false, nil
	}
	if err := AwaitBoot(ctx, options); err != nil {
		return lease, false, err
	}
	db, err := statedb.Open(ctx, options.StateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return lease, false, nil
	}
	if err != nil {
		return lease, false, err
	}
	lease, held, err = db.OwnerLease(ctx)
	return lease, held, errors.Join(err, db.Close())
}

// HasDatabase tells whether a gateway has made its database, or is at it; see
// [statedb.Exists].
func HasDatabase(stateDir string) bool { return statedb.Exists(stateDir) }

// Booted tells whether a first boot is through with its database, by that one's
// own record; see [statedb.Booted].
func Booted(ctx context.Context, stateDir string) (bool, error) { return statedb.Booted(ctx, stateDir) }
