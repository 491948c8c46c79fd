package gatewaytest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// fileEra is a state directory with a file store, a gateway's port on which
// somebody listens, and no gateway: what one writes, the test writes.
func fileEra(t *testing.T) volume {
	t.Helper()
	v := volume{state: t.TempDir(), port: gatewaytest.FreePort(t)}
	listener := must(net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", v.port)))(t)
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_ = conn.Close()
		}
	}()
	return v
}

// gatewayWrites edits the file as a file-era gateway does: it reads all, writes
// another file, and renames that.
func (v volume) gatewayWrites(t *testing.T, edit func(map[string]json.RawMessage)) {
	t.Helper()
	devices := must(readPaired(v.state))(t)
	if devices == nil {
		devices = map[string]json.RawMessage{}
	}
	edit(devices)
	path := filepath.Join(v.state, "devices", "paired.json")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	text := must(json.MarshalIndent(devices, "", "  "))(t)
	if err := os.WriteFile(path+".5e1b.tmp", text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".5e1b.tmp", path); err != nil {
		t.Fatal(err)
	}
}

// isExchange tells whether a file is about to be exchanged with what is there.
func isExchange(call systemCall) bool {
	return call.number == unix.SYS_RENAMEAT2 && call.args[4] == unix.RENAME_EXCHANGE
}

func gatewayEntry(id, note string) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(`{"deviceId": %q, "publicKey": "AAAA", "tokens": {}, "note": %q}`, id, note))
}

// wantGatewayEntries checks the entries that the gateway wrote, by their notes.
func (v volume) wantGatewayEntries(t *testing.T, want map[string]string) {
	t.Helper()
	got := map[string]string{}
	for id, text := range must(readPaired(v.state))(t) {
		var device struct{ PublicKey, Note string }
		if decode(t, string(text), &device); device.PublicKey == "AAAA" {
			got[id] = device.Note
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("the gateway's own devices are\n%q, not\n%q", got, want)
	}
	if _, paired := must(readPaired(v.state))(t)[must(readIdentity(v.bundle("c")))(t)]; !paired {
		t.Error("the client is not paired")
	}
}

// A gateway that edits the file in front of each exchange has read what the one
// before put there, which does not have the edit before that.
func TestWhatAGatewayWritesInFrontOfEachExchangeIsKept(t *testing.T) {
	v := fileEra(t)
	v.gatewayWrites(t, func(devices map[string]json.RawMessage) {
		for _, id := range []string{"removed 1", "removed 2", "removed 3", "stays"} {
			devices[id] = gatewayEntry(id, "")
		}
	})
	want, n := map[string]string{"stays": ""}, 0
	killAtCall(t, v.command(t, "c"), func(call systemCall) bool {
		if isExchange(call) && n < 3 {
			n++
			id := fmt.Sprintf("paired %d", n)
			want[id] = ""
			v.gatewayWrites(t, func(devices map[string]json.RawMessage) {
				devices[id] = gatewayEntry(id, "")
				delete(devices, fmt.Sprintf("removed %d", n))
			})
		}
		return false
	})
	if n < 3 {
		t.Fatalf("it made %d exchanges", n)
	}
	v.wantGatewayEntries(t, want)
	v.wantNoLitter(t)
}

// A run that is killed after it has exchanged the file leaves what a gateway
// wrote just before in its temporary file alone.
func TestWhatAGatewayWroteJustBeforeAKillIsNotLost(t *testing.T) {
	for name, afterwards := range map[string]func(map[string]json.RawMessage){
		"and nothing after it": nil,
		"and something after it": func(devices map[string]json.RawMessage) {
			devices["stays"] = gatewayEntry("stays", "seen again")
			devices["fresh"] = gatewayEntry("fresh", "")
			delete(devices, "removed after")
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := fileEra(t)
			v.gatewayWrites(t, func(devices map[string]json.RawMessage) {
				for _, id := range []string{"stays", "removed between", "removed after", "rotated between"} {
					devices[id] = gatewayEntry(id, "")
				}
			})
			exchanged := false
			killed := killAtCall(t, v.command(t, "c"), func(call systemCall) bool {
				if isExchange(call) {
					exchanged = true
					v.gatewayWrites(t, func(devices map[string]json.RawMessage) {
						devices["paired between"] = gatewayEntry("paired between", "")
						devices["rotated between"] = gatewayEntry("rotated between", "rotated")
						delete(devices, "removed between")
					})
				}
				return exchanged && call.number == unix.SYS_UNLINKAT
			})
			if !killed {
				t.Fatal("it made no exchange, or removed nothing after it")
			}
			want := map[string]string{"stays": "", "removed after": "", "paired between": "", "rotated between": "rotated"}
			if afterwards != nil {
				v.gatewayWrites(t, afterwards)
				want = map[string]string{"stays": "seen again", "fresh": "", "paired between": "", "rotated between": "rotated"}
			}
			for range 2 {
				v.seed(t, "--client", "c")
				v.wantGatewayEntries(t, want)
				v.wantNoLitter(t)
			}
			audit := string(must(os.ReadFile(filepath.Join(v.state, "bootstrap", "audit.jsonl")))(t))
			for _, id := range []string{"paired between", "removed between", "rotated between"} {
				if !containsAudit(t, audit, id) {
					t.Errorf("no audit line about %q in\n%s", id, audit)
				}
			}
		})
	}
}

func containsAudit(t *testing.T, audit, deviceID string) bool {
	t.Helper()
	for line := range strings.Lines(audit) {
		var record struct{ DeviceID string }
		if decode(t, line, &record); record.DeviceID == deviceID {
			return true
		}
	}
	return false
}
