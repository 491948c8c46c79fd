package entrypoint

import (
	"errors"
	"os"
	"os/signal"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
)

// As PID 1 it was lost, or ended bootstrap with 2.
func TestASignalWhileTheHelperIsStartedStopsTheStart(t *testing.T) {
	signals := launch.Catch()
	defer signals.Release()
	e := &Entrypoint{Target: &pairing.Target{Argv: []string{"/no/such/gateway"}}, Flush: func() {}}
	err := e.exec(pairing.Paired{Store: seed.Info{Kind: seed.Staged}}, signals, func([]string) error {
		arrived := make(chan os.Signal, 1)
		signal.Notify(arrived, syscall.SIGTERM)
		defer signal.Stop(arrived)
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		<-arrived
		return nil
	})
	if stopped := (*launch.StoppedError)(nil); !errors.As(err, &stopped) || stopped.Signal != syscall.SIGTERM {
		t.Errorf("got %v", err)
	}
}
