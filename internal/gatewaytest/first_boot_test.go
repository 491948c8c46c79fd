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

// A gateway of the SQLite era moves the files into its database at its first
// start. Whenever a seeding falls into that, the devices are paired afterwards,
// and those from before are who they were.
func TestSeedingAtAnyMomentOfAFirstBootHolds(t *testing.T) {
	t.Parallel()
	const moments = 10 // on each of two volumes
	for _, version := range []string{"2026.8.2", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			t.Run("on a volume seeded before", func(t *testing.T) {
				v := newVolume(t, version, t.TempDir())
				v.seed(t, "--client", "early")
				v.bootMeanwhile(t, moments)
			})
			t.Run("on an empty volume", func(t *testing.T) { newVolume(t, version, t.TempDir()).bootMeanwhile(t, moments) })
		})
	}
}

// usualBoot is about how long a first boot takes on a machine that is busy.
const usualBoot = 12 * time.Second

// bootMeanwhile boots the volume and seeds at random moments of that, one of
// them when the database appears.
func (v volume) bootMeanwhile(t *testing.T, moments int) {
	before := survey{}
	tokens := map[string]string{}
	if _, err := os.Stat(filepath.Join(v.state, "devices", "paired.json")); err == nil {
		before = v.survey(t)
		tokens = tokensOf(before)
	}
	began := time.Now()
	g := v.start(t)
	var seeding sync.WaitGroup
	seedNow := func(name string) {
		at := time.Since(began).Round(10 * time.Millisecond)
		result := gatewaytest.RunBootstrap(t, gatewaytest.Command{Argv: []string{"seed", "--client", name}, Env: v.env()})
		t.Logf("%s seeded %v after the start", name, at)
		if result.Code != 0 {
			t.Errorf("%s, seeded %v after the start: exit %d\n%s", name, at, result.Code, result.Stderr)
		}
	}
	seeding.Go(func() {
		for _, err := os.Lstat(databaseOf(v.state)); err != nil; _, err = os.Lstat(databaseOf(v.state)) {
			if time.Since(began) > 2*time.Minute {
				return
			}
			time.Sleep(time.Millisecond)
		}
		seedNow("moment-0")
	})
	slice := usualBoot / time.Duration(max(1, moments-1))
	for i := range moments - 1 {
		time.Sleep(time.Until(began.Add(slice*time.Duration(i) + rand.N(slice))))
		seedNow(fmt.Sprintf("moment-%d", i+1))
	}
	seeding.Wait()
	g.WaitReady(t)
	t.Logf("ready %v after the start", time.Since(began).Round(10*time.Millisecond))
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
	for i := range moments {
		bundle := v.bundle(fmt.Sprintf("moment-%d", i))
		v.wantLetIn(t, must(readIdentity(bundle))(t), standardScopes, "--state-dir", bundle)
	}
}
