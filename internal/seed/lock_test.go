package seed_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

func TestManyAtOnceLoseNothingThoughTheLockFileIsRemoved(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		const many = 60
		stop, stopped := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(stopped)
			for {
				select {
				case <-stop:
					return
				default:
					_ = os.Remove(filepath.Join(seed.Dir(dir), "lock"))
				}
			}
		}()
		var group sync.WaitGroup
		all := make([]seed.Device, many)
		for i := range many {
			all[i] = device(t, "client", newIdentity(t), false, "operator.read")
			group.Go(func() {
				options := options(dir)
				options.LockTimeout *= 10
				err := withSession(t, options, func(session *seed.Session) error {
					_, err := session.Pair(context.Background(), all[i])
					return err
				})
				if err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		close(stop)
		<-stopped
		wantNoneLost(t, options(dir), all...)
	})
}

// What is done in a state directory that somebody moves meanwhile is not said to
// be done, and goes into no other one.
func TestAStateDirectoryThatIsSwappedMeanwhileIsNoSuccess(t *testing.T) {
	for name, c := range map[string]struct{ before, after bool }{
		"before the devices are paired": {before: true}, "after it": {after: true},
	} {
		t.Run(name, func(t *testing.T) {
			eachStore(t, func(t *testing.T, dir string) {
				other := t.TempDir()
				if _, err := pairSelf(t, options(other), "operator.read"); err != nil {
					t.Fatal(err)
				}
				ledger := read(t, filepath.Join(seed.Dir(other), "ledger.json"))
				swap := func(due bool) {
					if due {
						if err := errors.Join(os.Rename(dir, dir+".old"), os.Rename(other, dir)); err != nil {
							t.Fatal(err)
						}
					}
				}
				session, err := seed.Open(context.Background(), options(dir))
				if err != nil {
					t.Fatal(err)
				}
				id, _, err := session.Self(context.Background(), identity.Identity{}, identity.Identity{})
				if err != nil {
					t.Fatal(err)
				}
				swap(c.before)
				_, pairErr := session.Pair(context.Background(), device(t, "self", id, true, "operator.read"))
				swap(c.after)
				err = errors.Join(pairErr, session.Close())
				if !errors.As(err, new(*seed.StoreError)) || !errors.As(err, new(*atomicfile.ReplacedError)) {
					t.Errorf("got %v", err)
				}
				if c.before && pairErr == nil {
					t.Error("it was said to be done before the end")
				}
				if read(t, filepath.Join(seed.Dir(dir), "ledger.json")) != ledger {
					t.Error("the other directory's ledger was changed")
				}
			})
		})
	}
}

// What takes long once the lock is held, as a database that is locked, is no other bootstrap.
func TestOnlyTheLockIsAwaitedAsAnotherBootstraps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		o := options(t.TempDir())
		o.Log = zerolog.New(&log)
		looks := 0
		o.Booting = func(context.Context) (int, bool) {
			if looks++; looks == 2 { // with the lock
				time.Sleep(2 * seed.LockPatience) // in the bubble's own time
			}
			return 0, false
		}
		if err := seed.InSession(t.Context(), o, func(*seed.Session) error { return nil }); err != nil || looks < 2 {
			t.Errorf("after %d looks: %v", looks, err)
		}
		if strings.Contains(log.String(), "another bootstrap") {
			t.Errorf("it logged %s", log.String())
		}
	})
}
