package seed

import (
	"context"
	"time"
)

// BootPatience is how long a boot is waited for: it takes seconds, and minutes on a busy
// machine.
const BootPatience = 5 * time.Minute

// AwaitBoot leaves the state directory to a gateway that boots on it, until that one
// listens or ends. Until then it makes, migrates and folds its database, and ends over
// a lock that it meets there, if only a reader's that closes (2026.9.6: exit 78,
// "database is locked"). A first boot also looks for files once, and takes no notice
// of what is written as a file in between (2026.9.6: "Legacy pairing stores require
// repair"), or ends over it (2026.8.2: "Legacy device identity exists").
//
// One that has not listened after [BootPatience] is not waited for any longer.
func AwaitBoot(ctx context.Context, options Options) error {
	if options.Booting == nil {
		return nil
	}
	for began, told := time.Now(), false; ; {
		pid, boots := options.Booting(ctx)
		waited := time.Since(began)
		if !boots || waited > BootPatience {
			return nil
		}
		if !told && waited > LockPatience {
			told = true
			options.Log.Info().Int("gateway", pid).Str("at_most", BootPatience.String()).
				Msg("a gateway boots here: waiting until it listens, for it ends where its database is locked meanwhile")
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}
