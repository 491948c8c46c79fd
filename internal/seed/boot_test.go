package seed_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// The one who waits for the lock has looked for a boot before; nobody waits for the lock
// while the boot is waited for.
func TestABootThatBeginsWhileTheLockIsWaitedForIsLeftAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		options := options(dir)
		looks := 0
		options.Booting = func(context.Context) (pid int, boots bool) {
			looks++
			switch looks {
			case 1: // before the lock
				return 0, false
			case 3: // without it
				hasty := options
				hasty.Booting, hasty.LockTimeout = nil, 0
				lock, err := seed.Lock(t.Context(), hasty)
				if err != nil {
					t.Error("the lock is kept meanwhile: ", err)
				} else {
					lock.Release()
				}
			}
			return 7, looks < 5
		}
		err := seed.InSession(t.Context(), options, func(*seed.Session) error {
			if looks < 5 {
				t.Errorf("works after %d looks", looks)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		options.Hasty = true
		for _, looks = range []int{0, 1} { // with the lock, and before it
			boots := (*seed.BootingError)(nil)
			if err := seed.InSession(t.Context(), options, func(*seed.Session) error { return nil }); !errors.As(err, &boots) || boots.PID != 7 {
				t.Errorf("who is hasty gets %v", err)
			}
		}
	})
}

// A database that appears during a session is a boot's. It is opened once that one
// listens, for until then whoever opens it fails over it; what was to be done is done in it.
func TestADatabaseThatAppearsDuringASessionIsLeftToTheBoot(t *testing.T) {
	dir, made := t.TempDir(), database(t, gatewayTables(t))
	self := device(t, "client", newIdentity(t), false, "operator.read")
	options := options(dir)
	boots, looks := false, 0
	options.Booting = func(context.Context) (pid int, isBooting bool) {
		if boots {
			looks++
		}
		if boots && looks > 3 {
			boots = false
			for _, err := range []error{os.RemoveAll(filepath.Join(dir, "state")), os.Rename(filepath.Join(made, "state"), filepath.Join(dir, "state"))} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		return 7, boots
	}
	sessions := 0
	err := seed.InSession(t.Context(), options, func(session *seed.Session) error {
		if sessions++; sessions == 1 {
			write(t, filepath.Join(dir, "state", "openclaw.sqlite"), "half of a database")
			boots = true
		}
		_, err := session.Pair(t.Context(), self)
		return err
	})
	if err != nil || sessions < 2 || boots {
		t.Errorf("%d sessions, %v; still boots: %v", sessions, err, boots)
	}
	wantNoneLost(t, options, self)
}
