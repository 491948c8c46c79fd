package probe

import (
	"context"
	"errors"
	"io/fs"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = time.Second
	// maxAskedPause bounds what a gateway may ask for; it asks 500 ms.
	maxAskedPause = 5 * time.Second

	// attemptTimeout bounds one attempt. A gateway under load has been seen to
	// take 2 s; it gives up on us after 10 to 15 s itself.
	attemptTimeout = 10 * time.Second
	// lastAttempt is what an attempt gets when the deadline is nearer.
	lastAttempt = 2 * time.Second

	// startupTrust is how long a gateway that calls itself starting is believed, before
	// a handshake is tried all the same.
	startupTrust = 5 * time.Second

	// maxInternalCloses is how often a gateway may close without a word. A
	// locked database (2026.9.6) passes; a broken pairing entry does not.
	maxInternalCloses = 3
)

// runner is one run. Clock and connection are fields so that tests need
// neither.
type runner struct {
	opts    Options
	now     func() time.Time
	pause   func(context.Context, time.Duration) error
	connect func(context.Context, Options, protocol.Signature) (*protocol.Hello, error)
	// starting tells, without a handshake, whether a gateway of ours still starts.
	starting func(context.Context, Options) bool

	signing        protocol.Signing
	start          time.Time
	believed       time.Time // since when no handshake was tried
	attempts       int
	sawStarting    bool
	internalCloses int
}

func (r *runner) run(ctx context.Context) Verdict {
	r.start = r.now()
	r.believed = r.start
	if missing := r.missingCredential(); missing != nil {
		return r.finish(*missing)
	}
	next := firstPause
	for {
		hello, err := r.attempt(ctx)
		if err == nil {
			return r.finish(judgeHello(r.opts, hello))
		}
		r.note(err)
		remaining := r.opts.Wait - r.now().Sub(r.start)
		if remaining <= 0 || ctx.Err() != nil || !r.passes(err) {
			return r.finish(r.judgeError(err))
		}
		wait := min(askedPause(err, next), remaining)
		if r.opts.Started && isBooting(err) {
			wait = min(firstPause, remaining)
		}
		next = min(2*next, maxPause)
		if r.opts.Progress != nil {
			r.opts.Progress(Waiting{
				Elapsed: r.now().Sub(r.start), Remaining: remaining, Reason: reason(err),
			})
		}
		if r.pause(ctx, wait) != nil {
			return r.finish(r.judgeError(err))
		}
	}
}

func (r *runner) attempt(ctx context.Context) (hello *protocol.Hello, err error) {
	if r.isStarting(ctx) {
		return nil, &protocol.Refusal{Kind: protocol.Starting, Message: "the gateway is starting"}
	}
	r.believed = r.now()
	err = r.signing.Try(func(signature protocol.Signature) (err error) {
		r.attempts++
		ctx, cancel := r.limit(ctx)
		defer cancel()
		hello, err = r.connect(ctx, r.opts, signature)
		return err
	})
	return hello, err
}

// limit bounds one attempt.
func (r *runner) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := attemptTimeout
	if r.opts.Wait > 0 {
		remaining := r.opts.Wait - r.now().Sub(r.start)
		limit = min(attemptTimeout, max(remaining, lastAttempt))
	}
	return context.WithTimeout(ctx, limit)
}

// isStarting saves a gateway of ours a handshake that it would put off. A single try is
// a handshake, though the gateway may call itself starting for ever.
func (r *runner) isStarting(ctx context.Context) bool {
	if !r.opts.Started || r.opts.Wait <= 0 || r.now().Sub(r.believed) >= startupTrust {
		return false
	}
	ctx, cancel := r.limit(ctx)
	defer cancel()
	return r.starting(ctx, r.opts)
}

// note remembers what the final verdict needs from earlier attempts.
func (r *runner) note(err error) {
	switch refusal, is := errors.AsType[*protocol.Refusal](err); {
	case !is:
	case refusal.Kind == protocol.Starting:
		r.sawStarting = true
	case refusal.Kind == protocol.InternalClose:
		r.internalCloses++
	}
}

// passes tells whether the same attempt may succeed later without anybody
// doing anything, and costs nothing on the gateway's count of failures.
func (r *runner) passes(err error) bool {
	if refusal, is := errors.AsType[*protocol.Refusal](err); is {
		switch refusal.Kind {
		case protocol.Starting:
			return true
		case protocol.InternalClose:
			return r.internalCloses < maxInternalCloses
		}
		return false
	}
	transport, is := errors.AsType[*protocol.TransportError](err)
	if !is {
		return false
	}
	switch transport.Kind {
	case protocol.Refused, protocol.Lost, protocol.Timeout, protocol.Name, protocol.Unroutable, protocol.Foreign, protocol.Other:
		return true
	case protocol.TLS:
		// A gateway that boots makes its certificate.
		return errors.Is(transport, fs.ErrNotExist)
	case protocol.HTTP:
		// A proxy in front of a gateway that is not there yet.
		return transport.Status >= 502 && transport.Status <= 504
	}
	return false
}

// isBooting tells whether a gateway says that it is starting, or does not listen
// yet. Either costs it a few milliseconds at most.
func isBooting(err error) bool {
	if refusal, is := errors.AsType[*protocol.Refusal](err); is {
		return refusal.Kind == protocol.Starting
	}
	transport, is := errors.AsType[*protocol.TransportError](err)
	return is && transport.Kind == protocol.Refused
}

func askedPause(err error, next time.Duration) time.Duration {
	refusal, is := errors.AsType[*protocol.Refusal](err)
	if !is {
		return next
	}
	asked := time.Duration(refusal.RetryAfterMs) * time.Millisecond
	return min(max(asked, next), maxAskedPause)
}

// reason is one line for the progress message.
func reason(err error) string {
	if transport, is := errors.AsType[*protocol.TransportError](err); is && transport.Kind == protocol.Refused {
		return "nobody listens there yet"
	}
	if refusal, is := errors.AsType[*protocol.Refusal](err); is && refusal.Said() != "" {
		return refusal.Said()
	}
	return err.Error()
}

func pause(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
