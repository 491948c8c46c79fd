package seed

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

func TestTheBarrierEndsBeforeRefusalsLockAnAddressOut(t *testing.T) {
	id, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		letIn, overwritten bool
		connects           int
		fails              bool
	}{
		"let in, and what was written stands":        {letIn: true, connects: 1},
		"let in, and overwritten every time":         {letIn: true, overwritten: true, connects: barrierTries, fails: true},
		"refused, and what was written stands":       {connects: 2},
		"refused every time, and always overwritten": {overwritten: true, connects: barrierRefusals, fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			connects := 0
			session := &Session{store: &jsonStore{stateDir: t.TempDir()}, options: Options{
				Live: func(context.Context, Credentials) bool { connects++; return c.letIn },
			}}
			err := session.barrier(t.Context(), Credentials{Identity: id, Token: "token"}, func() (bool, error) { return c.overwritten, nil })
			if fault := (*StoreError)(nil); errors.As(err, &fault) != c.fails || !c.fails && err != nil {
				t.Errorf("got %v", err)
			}
			if connects != c.connects {
				t.Errorf("%d connects, want %d", connects, c.connects)
			}
		})
	}
}

func TestADeviceThatIsPairedAndSignsMakesTheConnect(t *testing.T) {
	self, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	client, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	devices := []Device{{Name: SelfName, Key: self}, {Name: "keeps-its-key"}, {Name: "agent-1", Key: client}}
	for name, c := range map[string]struct {
		outcomes [3]Outcome
		want     identity.Identity
	}{
		"the directory's own device":          {[3]Outcome{Created, Created, Created}, self},
		"a client where that one was removed": {[3]Outcome{Revoked, Created, Created}, client},
		"nobody where all were removed":       {[3]Outcome{Revoked, Revoked, Revoked}, identity.Identity{}},
	} {
		t.Run(name, func(t *testing.T) {
			var results []Result
			for _, outcome := range c.outcomes {
				results = append(results, Result{Outcome: outcome, Token: "token"})
			}
			if got := signerOf(devices, results).Identity; got.IsZero() != c.want.IsZero() || !got.IsZero() && !got.Equal(c.want) {
				t.Errorf("device %v connects", got)
			}
		})
	}
}
