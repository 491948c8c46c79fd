package statedb

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"
)

// Lease is the gateway's owner lease (from 2026.9.5 on): the gateway that
// holds it is the only one that may serve this state directory. It lasts five
// minutes and is renewed every 30 seconds; a clean end removes it.
type Lease struct {
	// PID and Host of the gateway; 0 and empty where the row does not say.
	PID  int
	Host string
	// StartedAt is the process's start in clock ticks after boot, field 22 of
	// /proc/PID/stat; 0 where unknown.
	StartedAt int64
	Port      int
	Expires   time.Time
}

// OwnerLease reads the lease; false where nobody holds one, or where the
// release knows none.
func (db *DB) OwnerLease(ctx context.Context) (Lease, bool, error) {
	if has, err := db.hasTable(ctx, "state_leases"); !has {
		return Lease{}, false, err
	}
	var expires sql.NullInt64
	var payload sql.NullString
	held, err := db.Row(ctx, Query{
		Table: "state_leases",
		SQL:   `SELECT expires_at, payload_json FROM state_leases WHERE scope = 'gateway-owner' AND lease_key = 'global'`,
	}, &expires, &payload)
	if err != nil || !held {
		return Lease{}, false, err
	}
	lease := parseLease(payload.String)
	lease.Expires = Moment(expires.Int64)
	return lease, true, nil
}

// Moment is a row's time in milliseconds, moved into the years that JSON has, with a day
// to spare for a time zone.
func Moment(ms int64) time.Time {
	const last = 253402214400000 // 9999-12-31
	return time.UnixMilli(min(max(ms, 0), last))
}

// parseLease reads what it can: a lease counts also where its owner is unclear.
func parseLease(payload string) Lease {
	var p struct {
		Owner struct {
			PID       int
			Host      string
			StartedAt int64
		}
		Port int
	}
	if json.Unmarshal([]byte(payload), &p) != nil {
		return Lease{}
	}
	return Lease{PID: p.Owner.PID, Host: p.Owner.Host, StartedAt: p.Owner.StartedAt, Port: p.Port}
}

// Holder is what is known of the gateway that a lease names.
type Holder int

const (
	// HolderGone: the lease has expired, or it names a process of this host that
	// has ended; a gateway takes it over at once.
	HolderGone Holder = iota
	// HolderAlive: the very process runs on this host.
	HolderAlive
	// HolderUnknown: it ran under another host name, as a container that was
	// killed and made again has one. A gateway refuses to start until the lease
	// expires ("Another Gateway owner lease is still active", exit 1, 2026.9.6).
	HolderUnknown
)

// Holder judges a lease as the gateway does (2026.9.6).
func (l Lease) Holder(hostname string, now time.Time) Holder {
	switch {
	case !l.Expires.After(now):
		return HolderGone
	case l.Host != hostname || l.PID <= 0:
		return HolderUnknown
	}
	startedAt, running := processStart(l.PID)
	switch {
	case !running:
		return HolderGone
	case l.StartedAt == 0 || startedAt == 0:
		return HolderUnknown
	case l.StartedAt != startedAt:
		return HolderGone
	}
	return HolderAlive
}

// processStart is field 22 of /proc/PID/stat: clock ticks after boot.
func processStart(pid int) (ticks int64, running bool) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, !errors.Is(err, fs.ErrNotExist)
	}
	// The name in brackets may itself hold blanks and brackets.
	fields := strings.Fields(string(data[bytes.LastIndexByte(data, ')')+1:]))
	if len(fields) < 20 {
		return 0, true
	}
	ticks, _ = strconv.ParseInt(fields[19], 10, 64)
	return ticks, true
}
