package cli

import (
	"context"
	"errors"
	"io/fs"
	"strconv"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/statedb"
)

// firstBootPatience is how long a first boot may take to make its database, or
// to listen; here it takes 2 to 40 s.
const firstBootPatience = 2 * time.Minute

// isServed tells whether a gateway serves the state folder, for a command that
// may seed beside one. It waits where that is about to change: a first boot
// looks for files once, makes its database, and takes no notice of what is
// written as a file in between (2026.9.6: "Legacy pairing stores require
// repair"), or ends over it (2026.8.2: "Legacy device identity exists").
func (a *app) isServed(ctx context.Context, p place) (bool, error) {
	deadline := time.Now().Add(firstBootPatience)
	for told := false; ; told = true {
		if isLive(ctx, p) {
			return true, nil
		}
		if p.Release.Era() == gateway.EraJSON || !undecided(ctx, p.StateDir) || !gateway.Running(p.StateDir) || time.Now().After(deadline) {
			return false, nil
		}
		if !told {
			a.log.Info().Str("at_most", firstBootPatience.String()).
				Str("hint", "if it answers already, at another port than "+strconv.Itoa(p.Listen.Port)+": "+setPort("PORT")).
				Msg("a gateway boots here for the first time: waiting until it has a store")
		}
		select {
		case <-ctx.Done():
			return false, ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// undecided tells whether a gateway that boots may still turn to another store:
// there is no database, or one in which nothing was made yet.
func undecided(ctx context.Context, stateDir string) bool {
	db, err := statedb.Open(ctx, stateDir)
	if err != nil {
		return errors.Is(err, fs.ErrNotExist)
	}
	version := db.Version()
	return db.Close() == nil && version == 0
}
