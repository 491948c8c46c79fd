package gatewaytest_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/identity"
)

// onEachStore runs a test on an empty directory, and on one with the tables that a
// gateway makes, without a gateway.
func onEachStore(t *testing.T, test func(t *testing.T, v volume)) {
	t.Helper()
	t.Run("files", func(t *testing.T) {
		test(t, volume{state: t.TempDir(), port: gatewaytest.FreePort(t)})
	})
	t.Run("database", func(t *testing.T) {
		v := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
		makeDatabase(t, v.state)
		test(t, v)
	})
}

// makeDatabase makes a database with the gateway's tables.
func makeDatabase(t *testing.T, state string) {
	t.Helper()
	path := databaseOf(state)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	db := openDatabase(t, path)
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(string(must(os.ReadFile("../statedb/testdata/gateway.sql"))(t))); err != nil {
		t.Fatal(err)
	}
}

// bootstrap is one command on a volume.
func (v volume) bootstrap(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command(gatewaytest.Bootstrap(t), args...)
	cmd.Env = append(v.env(), "HOME="+v.state)
	return cmd
}

func (v volume) does(t *testing.T, args ...string) {
	t.Helper()
	if out, err := v.bootstrap(t, args...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
}

// syncs counts how often a command waits for the disk.
func syncs(t *testing.T, cmd *exec.Cmd) (count int) {
	t.Helper()
	killAtCall(t, cmd, func(call systemCall) bool {
		switch call.number {
		case unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS:
			count++
		}
		return false
	})
	return count
}

// manyClients is a manifest of clients that keep their keys to themselves.
func manyClients(t *testing.T, count int) (path string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("clients:\n")
	for i := range count {
		fmt.Fprintf(&text, "  - name: c-%d\n    publicKey: %s\n", i, newKey(t))
	}
	path = filepath.Join(t.TempDir(), "clients.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func newKey(t *testing.T) string {
	t.Helper()
	return must(identity.New(time.Now()))(t).PublicKey()
}

func TestAPruneWaitsForTheDiskAsOftenForManyDevicesAsForOne(t *testing.T) {
	onEachStore(t, func(t *testing.T, v volume) {
		var counts []int
		for _, devices := range []int{1, 40} {
			v.does(t, "seed", "--manifest", manyClients(t, devices))
			counts = append(counts, syncs(t, v.bootstrap(t, "seed", "--prune")))
			if left := len(v.survey(t).devices); left != 1 {
				t.Errorf("%d devices are left, not our own alone", left)
			}
		}
		if counts[0] == 0 || counts[1] != counts[0] {
			t.Errorf("fsyncs for 1 and 40 devices: %v", counts)
		}
	})
}

// A prune takes what it takes in one step. Killed before any call, all of it is
// there or none, the rest stays to the byte, and the next run completes it.
func TestAPruneThatIsKilledLeavesAllOrNone(t *testing.T) {
	onEachStore(t, func(t *testing.T, v volume) {
		v.does(t, "seed", "--client", "stays")
		stays := v.survey(t)
		all := manyClients(t, 3)
		var old, fresh int
		for n := 1; ; n++ {
			v.does(t, "seed", "--client", "stays", "--manifest", all)
			before := v.survey(t)
			if len(before.devices) != 5 {
				t.Fatalf("before call %d there are %d devices, not 5", n, len(before.devices))
			}
			killed := killBeforeCall(t, v.bootstrap(t, "seed", "--client", "stays", "--prune"), n)
			after := v.surveyCrash(t)
			after.wantNoLessThan(t, stays)
			switch len(after.devices) {
			case 5:
				old++
			case 2:
				fresh++
			default:
				t.Fatalf("killed before call %d it left %d devices", n, len(after.devices))
			}
			v.does(t, "seed", "--client", "stays", "--prune")
			if done := v.survey(t); !maps.EqualFunc(done.raw, stays.raw, func(a, b json.RawMessage) bool { return bytes.Equal(a, b) }) {
				t.Fatalf("after call %d the next run left %d devices", n, len(done.devices))
			}
			if !killed {
				break
			}
		}
		if old == 0 || fresh == 0 {
			t.Errorf("the kills did not fall on both sides of the write: %d old, %d new", old, fresh)
		}
		v.wantNoLitter(t)
	})
}

// leaveLog writes to a database as a gateway does that ends without folding its
// -wal into it.
func leaveLog(t *testing.T, state string) {
	t.Helper()
	path := databaseOf(state)
	db := openDatabase(t, path)
	if _, err := db.Exec("UPDATE schema_meta SET updated_at = updated_at + 1"); err != nil {
		t.Fatal(err)
	}
	log := must(os.ReadFile(path + "-wal"))(t)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path+"-wal", log, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestABootThatChangesNothingWaitsForNoDisk(t *testing.T) {
	boots := func(t *testing.T, v volume) {
		t.Helper()
		for _, args := range [][]string{{"seed"}, {"run", "--handover=exec", "--", "true"}, {"status"}} {
			if count := syncs(t, v.bootstrap(t, args...)); count != 0 {
				t.Errorf("%q: %d fsyncs", args, count)
			}
		}
	}
	onEachStore(t, func(t *testing.T, v volume) {
		v.does(t, "seed")
		boots(t, v)
		if v.migrated(t) {
			leaveLog(t, v.state)
			boots(t, v)
			if info, err := os.Stat(databaseOf(v.state) + "-wal"); err != nil || info.Size() == 0 {
				t.Errorf("the log is gone: %v", err)
			}
		}
	})
}

// Each promise of a first boot by the order of what is on the disk: when the store
// gets its entry, the key that it speaks of and the audit line are there, by their
// whole paths.
func TestAFirstBootSyncsEachFolderOnceAndTheStoreAfterWhatItSpeaksOf(t *testing.T) {
	state := filepath.Join(t.TempDir(), "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	v := volume{state: state, port: gatewaytest.FreePort(t)}
	var order []string
	killAtCall(t, v.bootstrap(t, "seed"), func(call systemCall) bool {
		if call.number == unix.SYS_FSYNC {
			path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", call.tid, call.args[0]))
			order = append(order, strings.TrimPrefix(path, state))
		}
		return false
	})
	if len(order) != 10 {
		t.Errorf("%d fsyncs: %q", len(order), order)
	}
	store := slices.Index(order, "/devices/.paired.json.bootstrap-tmp")
	if store < 0 {
		t.Fatalf("the store was not synced: %q", order)
	}
	for _, before := range []string{
		"", "/identity/.device.json.bootstrap-tmp", "/identity/.device-auth.json.bootstrap-tmp", "/identity",
		"/bootstrap/audit.jsonl", "/bootstrap",
	} {
		if !slices.Contains(order[:store], before) {
			t.Errorf("%q was not synced before the store: %q", before, order)
		}
	}
	key := slices.Index(order, "/identity/.device-auth.json.bootstrap-tmp")
	if slices.Index(order, "/identity") < key {
		t.Errorf("the directory of the key was synced before all of it was there: %q", order)
	}
}

// Killed before any call of a first boot, the next one completes it: one device, one
// token in both places, and nothing left behind.
func TestAFirstBootThatIsKilledIsCompletedByTheNext(t *testing.T) {
	for n := 1; ; n++ {
		v := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
		killed := killBeforeCall(t, v.bootstrap(t, "seed"), n)
		v.does(t, "seed")
		store := v.survey(t)
		token := must(readToken(v.state))(t)
		if len(store.devices) != 1 || token == "" || store.devices[store.self].Tokens["operator"].Token != token {
			t.Fatalf("killed before call %d: %d devices, and the token is not in both places", n, len(store.devices))
		}
		v.wantNoLitter(t)
		if !killed {
			return
		}
	}
}

// madeClients is a manifest of clients whose keys bootstrap makes.
func madeClients(t *testing.T, count int) (path string) {
	t.Helper()
	var text strings.Builder
	text.WriteString("clients:\n")
	for i := range count {
		fmt.Fprintf(&text, "  - name: c-%d\n", i)
	}
	path = filepath.Join(t.TempDir(), "clients.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestManyBundlesWaitForTheDiskAsOftenAsSome(t *testing.T) {
	if !syncsAtOnce(t, t.TempDir()) {
		t.Skip("the filesystem of the temporary directory is synced file by file")
	}
	var counts []int
	for _, clients := range []int{10, 60} {
		v := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
		counts = append(counts, syncs(t, v.bootstrap(t, "seed", "--manifest", madeClients(t, clients))))
		store := v.survey(t)
		for i := range clients {
			v.wantBundle(t, store, fmt.Sprintf("c-%d", i))
		}
	}
	if counts[0] == 0 || counts[1] != counts[0] {
		t.Errorf("fsyncs for 10 and 60 bundles: %v", counts)
	}
}

// syncsAtOnce tells a filesystem all of which the kernel syncs in one call; others
// are synced file by file.
func syncsAtOnce(t *testing.T, path string) bool {
	t.Helper()
	var stat unix.Statfs_t
	if err := unix.Statfs(path, &stat); err != nil {
		t.Fatal(err)
	}
	return slices.Contains([]int64{unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.OVERLAYFS_SUPER_MAGIC, unix.TMPFS_MAGIC}, int64(stat.Type))
}

// Each client's bundle is whole after the next run, wherever the first one was killed,
// and its key is the one that is paired.
func TestManyBundlesThatAreKilledAreCompletedByTheNext(t *testing.T) {
	const clients, step = 9, 7 // a kill before each seventh call, over some hundred
	manifest := madeClients(t, clients)
	for n := 1; ; n += step {
		v := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
		killed := killBeforeCall(t, v.bootstrap(t, "seed", "--manifest", manifest), n)
		v.does(t, "seed", "--manifest", manifest)
		store := v.survey(t)
		if len(store.devices) != clients+1 {
			t.Errorf("killed before call %d: %d devices", n, len(store.devices))
		}
		for i := range clients {
			v.wantBundle(t, store, fmt.Sprintf("c-%d", i))
		}
		v.wantNoLitter(t)
		if t.Failed() || !killed {
			return
		}
	}
}
