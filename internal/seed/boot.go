package seed

import (
	"context"
	"fmt"
	"time"
)

// BootPatience is how long a boot is waited for: it takes seconds, and minutes on a busy
// machine.
const BootPatience = 5 * time.Minute

// BootingError says that a gateway boots on the state directory, and that nobody waits
// for it; see [Options.Hasty].
type BootingError struct{ PID int }

func (e *BootingError) Error() string {
	return fmt.Sprintf("the gateway (pid %d) boots, and does not listen yet", e.PID)
}
func (e *BootingError) Class() string { return "unreachable" }

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
		switch {
		case !boots || waited > BootPatience:
			return nil
		case options.Hasty:
			return &BootingError{PID: pid}
		case !told && waited > LockPatience:
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

// patient are options for who looks for a boot more than once: [BootPatience] after the
// first that was seen, none is seen any more.
func (o Options) patient() Options {
	if look := o.Booting; look != nil {
		var first time.Time
		o.Booting = func(ctx context.Context) (pid int, boots bool) {
			if pid, boots = look(ctx); boots && first.IsZero() {
				first = time.Now()
			}
			return pid, boots && time.Since(first) <= BootPatience
		}
	}
	return o
}
