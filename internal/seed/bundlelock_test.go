package seed_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/seed"
)

func finished(bundle seed.Bundle, token string) error {
	result := seed.Result{Name: "agent-1", DeviceID: bundle.Identity.DeviceID(), Token: token, Scopes: []string{"operator.read"}}
	return bundle.Finish(result, "ws://gateway:18789")
}

func TestManyWritersOfOneBundleLeaveItWhole(t *testing.T) {
	for range 20 {
		dir := t.TempDir()
		var together sync.WaitGroup
		var devices [8]string
		var errs [8]error
		for i := range devices {
			together.Go(func() {
				bundle, err := seed.OpenBundle(dir, "agent-1")
				if errs[i] = err; err != nil {
					return
				}
				devices[i] = bundle.Identity.DeviceID()
				errs[i] = errors.Join(finished(bundle, fmt.Sprintf("token-%d", i)), bundle.Describe(seed.ClientKind{Platform: "darwin"}))
			})
		}
		together.Wait()
		for i := range devices {
			if errs[i] != nil || devices[i] != devices[0] {
				t.Fatalf("device %q, and before %q: %v", devices[i], devices[0], errs[i])
			}
		}
		bundle, err := seed.ReadBundle(dir, "agent-1")
		if err != nil {
			t.Fatal(err)
		}
		known, err := bundle.Credentials()
		env := read(t, filepath.Join(bundle.Dir, "env"))
		if err != nil || !strings.Contains(env, "OPENCLAW_GATEWAY_TOKEN="+known.Token+"\n") || !strings.Contains(env, "BOOTSTRAP_CLIENT_PLATFORM=darwin\n") {
			t.Fatalf("the token file has %s, %v, and the variables are\n%s", known.Token, err, env)
		}
		if files := snapshot(t, dir); len(files) != 3 {
			t.Fatalf("got %d files: key, token and variables are 3", len(files))
		}
	}
}

// A client can lock the directory that it was given to read.
func TestWhoHoldsABundleThatIsCompleteHoldsNobodyUp(t *testing.T) {
	dir := t.TempDir()
	write := func() error {
		bundle, err := seed.OpenBundle(dir, "agent-1")
		if err != nil {
			return err
		}
		return errors.Join(finished(bundle, "token"), bundle.Describe(seed.ClientKind{Platform: "darwin"}))
	}
	if err := write(); err != nil {
		t.Fatal(err)
	}
	held, err := atomicfile.AcquireFolder(t.Context(), filepath.Join(dir, "agent-1"), 0)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Release()
	done := make(chan error, 1)
	go func() { done <- write() }()
	select {
	case err := <-done:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(2 * time.Minute):
		t.Error("it waits, though nothing is to be written")
	}
}

func TestAClaimIsForOneClientAndKeepsNoWriterOut(t *testing.T) {
	dir := t.TempDir()
	claim, err := seed.ClaimBundle(t.Context(), dir, "agent-1", 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := seed.ClaimBundle(t.Context(), dir, "agent-1", 20*time.Millisecond); !errors.As(err, new(*atomicfile.LockedError)) {
		t.Errorf("a second claim of the same client: %v", err)
	}
	other, err := seed.ClaimBundle(t.Context(), dir, "agent-2", 0)
	if err != nil {
		t.Fatalf("a claim of another client: %v", err)
	}
	bundle, err := seed.OpenBundle(dir, "agent-1")
	if err == nil {
		err = finished(bundle, "token")
	}
	claim.Release()
	other.Release()
	if err != nil {
		t.Error(err)
	}
}
