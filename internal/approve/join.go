package approve

import (
	"context"
	"errors"
	"time"

	"github.com/reflectt/bootstrap/internal/probe"
)

const (
	// firstLook and lastLook are how often it is looked whether a person has
	// approved. A device that asks the same again keeps its request, and is not
	// counted as a failed login.
	firstLook = 500 * time.Millisecond
	lastLook  = 3 * time.Second
)

// JoinOptions say how to pair a device of ours with a local or a remote gateway.
type JoinOptions struct {
	// Options.Gateway is shown its own token or password: the URL is the one to
	// trust. Options.Wait is also how long a person has to approve.
	Options
	// Approver opens a connection that may approve; nil where there is none.
	Approver func(context.Context) (*Caller, error)
	// CannotApprove is called with the reason why the approver did not do.
	CannotApprove func(error)
	// Asked is called with each request that a person has to approve; a request that
	// nobody answers is followed by another one after five minutes.
	Asked func(requestID string)
}

// Join asks a gateway to let a device of ours in, for exactly these scopes:
// whoever may approve here does, else a person is waited for. At the end stands
// the proof by the device token alone. Errors are [*Error]; its verdict names
// the request that is still pending.
func Join(ctx context.Context, opts JoinOptions) (Result, error) {
	switch {
	case opts.Identity.IsZero():
		return Result{}, &Error{Err: errors.New("there is no device identity")}
	case opts.Token == "" && opts.Password == "":
		return Result{}, &Error{Verdict: probe.Run(ctx, opts.probe(probe.AuthShared, ""))}
	}
	how, err := opts.getIn(ctx)
	if err != nil {
		return Result{}, err
	}
	return opts.prove(ctx, how)
}

// getIn asks until it is let in.
func (o JoinOptions) getIn(ctx context.Context) (How, error) {
	how, reported, pause := LetIn, "", firstLook
	deadline := time.Now().Add(o.Wait)
	for tries := 0; ; tries++ {
		verdict := probe.Run(ctx, o.probe(probe.AuthShared, ""))
		if verdict.OK {
			return how, nil
		}
		asks := verdict.Outcome == probe.NotPaired || verdict.Outcome == probe.UpgradeWanted
		if !asks || verdict.RequestID == "" {
			return "", &Error{Verdict: verdict}
		}
		how = Approved
		if o.Approver != nil && tries < maxAsked {
			_, err := o.answer(ctx, o.Approver, verdict.RequestID)
			if err == nil {
				continue // approved, or cleared away to ask anew
			}
			o.CannotApprove(err)
			o.Approver = nil
		}
		if verdict.RequestID != reported {
			reported = verdict.RequestID
			o.Asked(reported)
		}
		if !sleep(ctx, min(pause, time.Until(deadline))) {
			return "", &Error{Verdict: verdict}
		}
		pause = min(2*pause, lastLook)
	}
}

// sleep is false where there is no time left.
func sleep(ctx context.Context, pause time.Duration) bool {
	if pause <= 0 {
		return false
	}
	select {
	case <-time.After(pause):
		return true
	case <-ctx.Done():
		return false
	}
}
