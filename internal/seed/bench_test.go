package seed_test

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// BenchmarkMerge pairs one more device, from taking the lock to letting it go,
// with every fsync, in stores of growing size.
func BenchmarkMerge(b *testing.B) {
	for _, store := range []struct {
		name string
		fill func(*testing.B, int) string
	}{{"files", fillFiles}, {"database", fillDatabase}} {
		for _, devices := range []int{1, 100, 1000, 10000} {
			b.Run(fmt.Sprintf("%s/%d", store.name, devices), func(b *testing.B) {
				stateDir := store.fill(b, devices)
				for b.Loop() {
					b.StopTimer()
					added := device(b, "client", newIdentity(b), false, "operator.read", "operator.write")
					b.StartTimer()
					err := withSession(b, options(stateDir), func(session *seed.Session) error {
						_, err := session.Pair(context.Background(), added)
						return err
					})
					if err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// others returns the entries of devices that were paired by somebody else.
func others(b *testing.B, devices int) (ids, entries []string) {
	b.Helper()
	for range devices {
		key := make([]byte, 32)
		_, _ = rand.Read(key) // never fails
		id, public := hex.EncodeToString(key), base64.RawURLEncoding.EncodeToString(key)
		scopes := `["operator.approvals", "operator.pairing", "operator.read", "operator.write"]`
		ids = append(ids, id)
		entries = append(entries, fmt.Sprintf(`{
    "deviceId": %q, "publicKey": %q, "displayName": "one of many", "clientId": "cli", "clientMode": "cli",
    "role": "operator", "roles": ["operator"], "scopes": %s, "approvedScopes": %s,
    "tokens": {"operator": {"token": %q, "role": "operator", "scopes": %s, "createdAtMs": 1795363114227}},
    "createdAtMs": 1795363114227, "approvedAtMs": 1795363114227}`, id, public, scopes, scopes, public, scopes))
	}
	return ids, entries
}

func fillFiles(b *testing.B, devices int) (stateDir string) {
	b.Helper()
	ids, entries := others(b, devices)
	for i, id := range ids {
		entries[i] = fmt.Sprintf("%q: %s", id, entries[i])
	}
	stateDir, _ = pairedFile(b, "{\n  "+strings.Join(entries, ",\n  ")+"\n}")
	return stateDir
}

func fillDatabase(b *testing.B, devices int) (stateDir string) {
	b.Helper()
	stateDir = database(b, gatewayTables(b))
	db := openDatabase(b, stateDir)
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	ids, entries := others(b, devices)
	for i, id := range ids {
		_, err := tx.Exec(`INSERT INTO device_pairing_paired (device_id, public_key, role, tokens_json, created_at_ms, approved_at_ms)
			VALUES (?, ?, 'operator', ?, 1795363114227, 1795363114227)`, id, id, entries[i])
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
	return stateDir
}
