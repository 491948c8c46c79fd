package seed

import (
	"context"
	"errors"
	"slices"
	"time"
)

const (
	// barrierTries bounds the barrier: a write is lost only to a connect that falls
	// into the few milliseconds around it.
	barrierTries = 20
	// barrierRefusals bounds it where the gateway refuses our device: ten refusals
	// in a minute may lock an address out.
	barrierRefusals = 5
)

// Connect makes one handshake with a paired device of ours and says whether it
// passed; also where the gateway serves nobody yet, and no connect is under way.
type Connect func(context.Context, Credentials) bool

// Pair makes sure that each device is in the store, and in the ledger. Devices
// that were removed by somebody stay removed, and what [Session.Revoke] could not take
// out goes, whether anybody still names it or not.
func (s *Session) Pair(ctx context.Context, devices ...Device) ([]Result, error) {
	results, changed, err := s.pairOnce(ctx, devices)
	if err != nil || !changed {
		return results, err
	}
	again := slices.Clone(devices)
	for i := range again {
		again[i].Reseed = false
	}
	return results, s.barrier(ctx, signerOf(devices, results), func() (changed bool, err error) {
		repeated, changed, err := s.pairOnce(ctx, again)
		for i, result := range repeated {
			results[i].Token = result.Token
		}
		return changed, err
	})
}

// signerOf is the first device that is paired and whose key we have.
func signerOf(devices []Device, results []Result) (out Credentials) {
	for i, result := range results {
		if result.Outcome != Revoked && !devices[i].Key.IsZero() {
			return Credentials{Identity: devices[i].Key, Token: result.Token, Scopes: result.Scopes}
		}
	}
	return out
}

// outlastGateway makes sure that a removal or a rotation survives a gateway that runs. The
// state directory's own device connects.
func (s *Session) outlastGateway(ctx context.Context, results []Result) error {
	if !s.mayBeOverwritten() {
		return nil
	}
	own, err := credentialsOf(ctx, s.store)
	if err != nil {
		return err
	}
	return s.barrier(ctx, own, func() (bool, error) { return s.reassert(ctx, results) })
}

// mayBeOverwritten says that a gateway serves the file that this session writes.
func (s *Session) mayBeOverwritten() bool { return s.options.Live != nil && s.store.kind() == JSON }

// barrier makes sure that a change of a file survives a gateway that serves it.
// JSON-era gateways read the file, change it and write it back at every connect,
// without a lock (2026.2.9 to 2026.5.28 lost 2 to 40 of 100 writes under stress).
// They do so one connect after the other: once a connect of ours has passed, every
// earlier one has, and every later one has read what we wrote. What the file says
// then is final. again makes the change once more, and says whether it had to.
func (s *Session) barrier(ctx context.Context, signer Credentials, again func() (changed bool, err error)) error {
	if !s.mayBeOverwritten() {
		return nil
	}
	refused := 0
	for range barrierTries {
		passed := !signer.Identity.IsZero() && signer.Token != "" && s.options.Live(ctx, signer)
		changed, err := again()
		if err != nil {
			return err
		}
		if changed {
			s.options.Log.Info().Msg("the gateway overwrote the file meanwhile; written again")
		} else if passed {
			return nil
		}
		if !passed {
			refused++
		}
		if refused == barrierRefusals {
			break
		}
		if refused >= 2 && !changed {
			s.options.Log.Warn().Msg("something answers at the gateway's port that does not let this directory's device in; the change is in the file, and nothing shows that it was overwritten")
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
	return &StoreError{
		Path: s.store.path(), Err: errors.New("the running gateway overwrote the file every time"),
		Fix: "bootstrap seed once more, or stop the gateway first",
	}
}
