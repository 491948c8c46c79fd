package statedb

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Booted tells whether a gateway's first boot has finished its database: the
// schema is complete, and its own record of the startup migrations is in it. Until
// then it may still import files, and a row that conflicts may end that
// boot. All releases with a database write the record some seconds before they
// listen (2026.8.1 to 2026.9.6).
func Booted(ctx context.Context, stateDir string) (bool, error) {
	if begun, err := begun(Path(stateDir)); !begun {
		return false, err
	}
	db, err := Open(ctx, stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	booted, err := db.migrated(ctx)
	return booted, errors.Join(err, db.Close())
}

// begun reads the header of the file alone, so that a database that is being made
// is not opened: it is in WAL mode, or, where the volume cannot have that, has a
// version. https://www.sqlite.org/fileformat.html says where both are.
func begun(path string) (bool, error) {
	// Without waiting for somebody to write into a FIFO that stands there.
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }()
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	var header [100]byte
	if _, err := io.ReadFull(file, header[:]); err != nil {
		return false, nil // empty, or half a page
	}
	const writesWAL = 2
	return header[18] == writesWAL || binary.BigEndian.Uint32(header[60:64]) >= 2, nil
}

func (db *DB) migrated(ctx context.Context) (bool, error) {
	if db.version < 2 {
		return false, nil // 2026.6.11 and 2026.7.1 make one of version 1 and never read it
	}
	if has, err := db.hasTable(ctx, "schema_meta"); !has {
		return false, err
	}
	return db.Row(ctx, Query{Table: "schema_meta", SQL: `SELECT 1 FROM schema_meta WHERE meta_key = 'startup-migrations'`}, new(int))
}
