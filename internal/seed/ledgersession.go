package seed

import (
	"context"
	"errors"
	"io/fs"
	"syscall"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// OutOfReach says whether an error means that the store is sound, but this process
// cannot read or write it: it stays locked, or belongs to another user.
// A gateway that serves it may do what is wanted.
func OutOfReach(err error) bool {
	if errors.As(err, new(*SchemaError)) || errors.As(err, new(*atomicfile.LockedError)) {
		return false
	}
	database := (*statedb.Error)(nil)
	return errors.As(err, &database) && (database.OutOfReach() ||
		errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS))
}

// LedgerSession is what a state directory remembers of its devices, locked, without the
// store: for a database that is out of reach, whose gateway is asked instead.
type LedgerSession struct{ session *Session }

// OpenLedger locks the state directory and reads the ledger. It fails as [Open] does.
func OpenLedger(ctx context.Context, options Options) (*LedgerSession, error) {
	lock, err := Lock(ctx, options)
	if err != nil {
		return nil, err
	}
	ledger, err := readLedger(options.StateDir)
	if err != nil {
		lock.Release()
		return nil, err
	}
	return &LedgerSession{&Session{options: options, lock: lock, ledger: ledger}}, nil
}

// Close saves the ledger and lets the lock go.
func (b *LedgerSession) Close() error {
	err := b.session.check()
	if err == nil {
		err = b.session.ledger.write()
	}
	b.session.lock.Release()
	return err
}

// Seeded is [Session.Seeded].
func (b *LedgerSession) Seeded(name string) ([]Device, error) { return b.session.Seeded(name) }

// StaysOut tells of a device that the gateway does or does not list whether
// somebody has decided that it stays out. Which database that gateway has cannot be
// told from here: one that is gone was removed, even where the database is another.
func (b *LedgerSession) StaysOut(device Device, listed bool) bool {
	l := b.session.ledger
	record := l.data.Devices[device.ID()]
	switch {
	case device.Reseed:
		return false
	case listed:
		return record.RevokedByUs
	}
	return record.RevokedAtMs != 0 || record.Confirmed && record.Store == SQLite || l.nameRevoked(device.Name)
}

// Audit writes down what the gateway is about to be asked for.
func (b *LedgerSession) Audit(action string, device Device) error {
	line := b.session.auditLine(action, device.Name, device.ID(), device.Scopes)
	line.Via = "gateway"
	return b.session.audit(line)
}

// Paired takes a device into the ledger that the gateway has let in.
func (b *LedgerSession) Paired(device Device, outcome Outcome) {
	b.session.ledger.record(device, outcome, SQLite, b.mark(device.ID()), true)
}

// Revoked notes that a device was removed by us, and stays out.
func (b *LedgerSession) Revoked(device Device) {
	b.session.ledger.noteRevoked(device.ID())
	b.session.ledger.change(device.ID(), func(record *ledgerRecord) { record.RevokedByUs = true })
}

// mark is that of the database that was seeded last: whoever opens it next finds
// out whether it is this one.
func (b *LedgerSession) mark(deviceID string) string {
	newest := b.session.ledger.data.Devices[deviceID]
	if newest.Store == SQLite {
		return newest.Mark
	}
	newest = ledgerRecord{}
	for _, record := range b.session.ledger.data.Devices {
		if record.Store == SQLite && record.SeededAtMs > newest.SeededAtMs {
			newest = record
		}
	}
	return newest.Mark
}
