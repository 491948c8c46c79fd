package gatewaytest_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// A gateway of the SQLite era moves the files into its database at its first start,
// and ends over a lock that it meets in it. Others seed all the while, and ask for the
// status: the boot holds, the devices are paired afterwards, and those from before are
// who they were.
func TestSeedingAllThroughAFirstBootHolds(t *testing.T) {
	t.Parallel()
	for _, version := range []string{"2026.8.2", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			t.Run("on a volume seeded before", func(t *testing.T) {
				v := newVolume(t, version, t.TempDir())
				v.seed(t, "--client", "early")
				v.bootMeanwhile(t)
			})
			t.Run("on an empty volume", func(t *testing.T) { newVolume(t, version, t.TempDir()).bootMeanwhile(t) })
		})
	}
}

// bootMeanwhile boots the volume, and seeds one client after the other until the gateway
// is ready.
func (v volume) bootMeanwhile(t *testing.T) {
	before := survey{}
	tokens := map[string]string{}
	if _, err := os.Stat(filepath.Join(v.state, "devices", "paired.json")); err == nil {
		before = v.survey(t)
		tokens = tokensOf(before)
	}
	began := time.Now()
	g := v.start(t)
	ready := make(chan struct{})
	isReady := func() bool {
		select {
		case <-ready:
			return true
		default:
			return false
		}
	}
	var clients []string
	left := 0 // how often status has left a database alone
	var others sync.WaitGroup
	others.Go(func() {
		for !isReady() || len(clients) == 0 {
			client := fmt.Sprintf("client-%d", len(clients))
			if result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"seed", "--client", client}, Env: v.env()}); result.Code != 0 {
				t.Errorf("%s, seeded %v after the start: exit %d\n%s", client, time.Since(began), result.Code, result.Stderr)
			}
			clients = append(clients, client)
		}
	})
	others.Go(func() {
		for left < 20 && !isReady() { // then the boot has the processors to itself
			if result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"status"}, Env: v.env()}); result.Code == 10 {
				left++
			}
		}
	})
	func() {
		defer others.Wait()
		defer close(ready)
		g.WaitReady(t)
	}()
	t.Logf("ready %v after the start, %d clients seeded, status has left the database alone %d times", time.Since(began).Round(10*time.Millisecond), len(clients), left)
	if left == 0 {
		t.Error("status has opened the database of a gateway that boots")
	}
	self, devices := v.self(t), v.paired(t)
	if before.self != "" && self != before.self {
		t.Errorf("the device was %s and is %s", before.self, self)
	}
	for id, token := range tokens {
		if devices[id].Tokens["operator"].Token != token {
			t.Errorf("%s has another token, or is gone", id)
		}
	}
	v.wantLetIn(t, self, fullScopes)
	for _, client := range clients {
		if id := must(readIdentity(v.bundle(client)))(t); devices[id].Tokens["operator"].Token == "" {
			t.Errorf("%s is not paired", client)
		}
	}
	// The first and the last were nearest to the boot, and to its end.
	some := []string{clients[0], clients[len(clients)-1], clients[rand.IntN(len(clients))]}
	for _, client := range some {
		v.wantLetIn(t, must(readIdentity(v.bundle(client)))(t), standardScopes, "--state-dir", v.bundle(client))
	}
}
