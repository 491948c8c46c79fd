package statedb

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestALeaseIsReadAsTheGatewayWritesIt(t *testing.T) {
	for name, c := range map[string]struct {
		expires, payload string
		want             Lease
	}{
		"all of it":              {"1795369980111", `'{"owner":{"pid":17,"host":"web-1","startedAt":4711},"port":18789,"later":[]}'`, Lease{17, "web-1", 4711, 18789, time.UnixMilli(1795369980111)}},
		"an owner without start": {"1795369980111", `'{"owner":{"pid":17,"host":"web-1","startedAt":null}}'`, Lease{PID: 17, Host: "web-1", Expires: time.UnixMilli(1795369980111)}},
		"no payload":             {"1795369980111", "NULL", Lease{Expires: time.UnixMilli(1795369980111)}},
		"a payload that is torn": {"1795369980111", `'{"owner":{"pid":1'`, Lease{Expires: time.UnixMilli(1795369980111)}},
		"no end":                 {"NULL", "NULL", Lease{Expires: time.UnixMilli(0)}},
	} {
		t.Run(name, func(t *testing.T) {
			db := mustOpen(t, database(t, gatewayTables, fmt.Sprintf(
				"INSERT INTO state_leases VALUES ('gateway-owner', 'global', 'x', %s, 1, %s, 1, 1)", c.expires, c.payload)))
			got, held, err := db.OwnerLease(context.Background())
			if err != nil || !held || got != c.want {
				t.Errorf("got %+v, %v, %v; want %+v", got, held, err, c.want)
			}
		})
	}
}

func TestNobodyHoldsALeaseThatIsNotThere(t *testing.T) {
	for name, statement := range map[string]string{
		"no row":        "SELECT 1",
		"no table":      "DROP TABLE state_leases",
		"another scope": "INSERT INTO state_leases VALUES ('cron', 'global', 'x', 1795369980111, 1, '{}', 1, 1)",
		"another key":   "INSERT INTO state_leases VALUES ('gateway-owner', 'agent', 'x', 1795369980111, 1, '{}', 1, 1)",
	} {
		t.Run(name, func(t *testing.T) {
			_, held, err := mustOpen(t, database(t, gatewayTables, statement)).OwnerLease(context.Background())
			if err != nil || held {
				t.Errorf("got %v, %v", held, err)
			}
		})
	}
}

// beyondPIDs is a process number that Linux never gives (the most is 2^22).
const beyondPIDs = 1<<22 + 1

func TestWhoHoldsALease(t *testing.T) {
	now := time.UnixMilli(1795369680111)
	later := now.Add(5 * time.Minute)
	start := startOfSelf(t)
	for name, c := range map[string]struct {
		lease Lease
		want  Holder
	}{
		"this very process":                         {Lease{os.Getpid(), "here", start, 1, later}, HolderAlive},
		"this process's number, from another start": {Lease{os.Getpid(), "here", start + 1, 1, later}, HolderGone},
		"this process's number, start not known":    {Lease{os.Getpid(), "here", 0, 1, later}, HolderUnknown},
		"a process that has ended":                  {Lease{beyondPIDs, "here", 1, 1, later}, HolderGone},
		"one that has ended, start not known":       {Lease{beyondPIDs, "here", 0, 1, later}, HolderGone},
		"another host, where our number runs":       {Lease{os.Getpid(), "there", start, 1, later}, HolderUnknown},
		"another host, where our number is free":    {Lease{beyondPIDs, "there", 1, 1, later}, HolderUnknown},
		"no host":                                   {Lease{os.Getpid(), "", start, 1, later}, HolderUnknown},
		"no process number":                         {Lease{0, "here", start, 1, later}, HolderUnknown},
		"a negative process number":                 {Lease{-1, "here", start, 1, later}, HolderUnknown},
		"nothing but its end":                       {Lease{Expires: later}, HolderUnknown},
		"expired on this host":                      {Lease{os.Getpid(), "here", start, 1, now.Add(-time.Millisecond)}, HolderGone},
		"expired at this moment":                    {Lease{1, "there", 1, 1, now}, HolderGone},
		"expired long ago on another host":          {Lease{1, "there", 1, 1, time.UnixMilli(0)}, HolderGone},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.lease.Holder("here", now); got != c.want {
				t.Errorf("got %d, want %d", got, c.want)
			}
		})
	}
}

// startOfSelf reads it in another way: /proc/self/stat from the end, where the
// fields after the 22nd are known to be 30 (Linux 3.5 and later have 52).
func startOfSelf(t *testing.T) int64 {
	t.Helper()
	data, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		t.Fatal(err)
	}
	fields := bytes.Fields(data)
	start, err := strconv.ParseInt(string(fields[len(fields)-52+21]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return start
}

func TestTheStartOfAProcessIsReadBehindItsName(t *testing.T) {
	start, running := processStart(os.Getpid())
	if want := startOfSelf(t); !running || start != want || start <= 0 {
		t.Errorf("got %d, %v; want %d", start, running, want)
	}
	if start, running := processStart(beyondPIDs); running || start != 0 {
		t.Errorf("nobody: got %d, %v", start, running)
	}
}

func TestANameWithBracketsAndBlanksDoesNotConfuse(t *testing.T) {
	task := "/proc/" + strconv.Itoa(os.Getpid()) + "/comm"
	before, err := os.ReadFile(task)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(task, []byte(") R 1 (x) 7 8"), 0); err != nil {
		t.Skipf("the process cannot be renamed here: %v", err)
	}
	defer func() { _ = os.WriteFile(task, bytes.TrimSpace(before), 0) }()
	if start, running := processStart(os.Getpid()); !running || start != startOfSelf(t) {
		t.Errorf("got %d, %v", start, running)
	}
}

func FuzzParseLease(f *testing.F) {
	f.Add(`{"owner":{"pid":17,"host":"web-1","startedAt":4711},"port":18789}`)
	f.Add(`{"owner":{"pid":-1,"host":"","startedAt":1.5}}`)
	f.Add(`{"owner":null}`)
	f.Add(`{"owner":{"PID":9007199254740993,"Host":"\ud800"}}`)
	f.Add(``)
	f.Add(`[]`)
	f.Add(strings.Repeat(`{"owner":`, 100))
	now := time.UnixMilli(1795369680111)
	f.Fuzz(func(t *testing.T, payload string) {
		lease := parseLease(payload)
		if lease != (Lease{}) && !json.Valid([]byte(payload)) {
			t.Errorf("half of it was read: %+v", lease)
		}
		if got := lease.Holder("a host of no name at all", now); got != HolderGone {
			t.Errorf("a lease without an end is held: %d", got)
		}
		lease.Expires = now.Add(time.Minute)
		if lease.Host != "here" && lease.Holder("here", now) != HolderUnknown {
			t.Errorf("another host's gateway was judged from here: %+v", lease)
		}
	})
}
