package cli

import (
	"context"
	"errors"
	"testing"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/seed"
)

func TestTheBarrierEndsBeforeRefusalsLockAnAddressOut(t *testing.T) {
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
			err := (&app{log: zerolog.Nop()}).barrier(t.Context(), "paired.json",
				func(context.Context) bool { connects++; return c.letIn },
				func() (bool, error) { return c.overwritten, nil })
			if fault := (*seed.StoreError)(nil); errors.As(err, &fault) != c.fails || !c.fails && err != nil {
				t.Errorf("got %v", err)
			}
			if connects != c.connects {
				t.Errorf("%d connects, want %d", connects, c.connects)
			}
		})
	}
}
