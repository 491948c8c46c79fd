package entrypoint

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
)

// watcher logs what becomes of pairing requests.
type watcher struct{ *pairing.Target }

// Watch answers the pairing requests of the gateway at url by the policy until the
// context ends; began is that of [approve.WatchOptions], and count, if set, hears what
// becomes of each.
func Watch(ctx context.Context, t *pairing.Target, url string, began *time.Time, count func(approve.Record)) error {
	w := watcher{t}
	// Makes our directory, and waits for whoever is busy with it.
	lock, err := seed.Lock(ctx, t.SeedOptions())
	if err != nil {
		return err
	}
	memory, err := approve.OpenMemory(ctx, seed.Dir(t.StateDir))
	lock.Release()
	if err != nil {
		return err
	}
	defer memory.Close()
	policy := t.Settings.ApprovalPolicy(t.Release)
	w.warnPolicy(policy)
	err = approve.Watch(ctx, approve.WatchOptions{
		Policy: policy, AuthMode: string(t.Auth.Mode), Memory: memory, Began: began,
		Open: func(ctx context.Context) (*approve.Caller, error) {
			caller, err := t.OpenApprover(ctx, url, approve.RequestedEvent)
			return caller, unexplained(err)
		},
		Own: func() (map[string]bool, error) { return ownDevices(ctx, t) },
		Removed: func(deviceID string) (bool, error) {
			return seed.WasRemoved(ctx, t.SeedOptions(), deviceID)
		},
		Audit: func(record approve.Record) error { return seed.Audit(t.StateDir, record) },
		Report: func(record approve.Record) {
			w.logApproval(record)
			if count != nil {
				count(record)
			}
		},
		Watching: w.logWatching(policy),
		Waiting:  w.logWaiting(),
	})
	return pairing.MayNot(url, err)
}

// unexplained is the gateway's refusal itself: whether it passes is for the
// watcher to say.
func unexplained(err error) error {
	if refused := (*pairing.RefusedError)(nil); errors.As(err, &refused) && refused.Cause != nil {
		return refused.Cause
	}
	return err
}

// ownDevices are those that were seeded here, our own among them.
func ownDevices(ctx context.Context, t *pairing.Target) (map[string]bool, error) {
	survey, err := seed.Take(ctx, t.SeedOptions())
	if err != nil {
		return nil, err
	}
	own := map[string]bool{}
	for _, device := range survey.Devices {
		if device.Name != "" {
			own[device.DeviceID] = true
		}
	}
	credentials, err := seed.ReadCredentials(ctx, t.SeedOptions())
	if err == nil && !credentials.Identity.IsZero() {
		own[credentials.Identity.DeviceID()] = true
	}
	return own, err
}

// warnPolicy tells what a policy lets in that its author may not have thought of.
func (w watcher) warnPolicy(policy approve.Policy) {
	if policy.Uses(approve.FromNetwork) {
		w.Log.Warn().Msg("cidr: a port that Docker publishes may show the bridge's own address for the whole world; do not admit that one")
	}
	for _, rule := range policy.Rules {
		if rule.String() == string(approve.PassedAuth) && policy.Max == 0 && policy.For == 0 {
			w.Log.Warn().Msg("token: whoever has the gateway's token or password gets a device of its own; --approve-max and --approve-for bound how many")
		}
	}
}

func (w watcher) logWatching(policy approve.Policy) func(string) {
	return func(server string) {
		event := w.Log.Info().Str("gateway", server).Str("role", policy.Role).Str("scopes", pairing.Brief(policy.Scopes))
		for _, rule := range policy.Rules {
			event = event.Str("policy", rule.String())
		}
		if w.Settings.ApproveBrowser {
			event = event.Strs("clients", policy.Clients).Int("at_most", policy.Max).Str("for", policy.For.String())
		}
		event.Msg("watching for pairing requests")
	}
}

func (w watcher) logApproval(r approve.Record) {
	event := w.Log.Info()
	message := "approved"
	switch r.Action {
	case approve.LeftPending:
		event, message = w.Log.Warn(), "left pending: "+r.Reason
		if r.RequestID != "" {
			event = event.Str("hint", "if that is meant: "+approveCommandLine(r))
		}
	case approve.Refused:
		event, message = w.Log.Error(), "the gateway did not approve: "+r.Reason
	case approve.Undone:
		event, message = w.Log.Error(), "approved something else than was asked: "+r.Reason
	}
	if r.RequestID != "" {
		event = event.Str("requestId", r.RequestID).Str("device", pairing.ShortID(r.DeviceID)).Str("name", r.Name).
			Str("from", r.RemoteIP).Strs("roles", r.Roles).Str("scopes", pairing.Brief(r.Scopes))
	}
	if r.Rule != "" {
		event = event.Str("rule", r.Rule)
	}
	event.Msg(message)
}

// approveCommandLine is the exact command that would approve a request.
func approveCommandLine(r approve.Record) string {
	if len(r.Roles) == 1 && r.Roles[0] == "node" {
		return "bootstrap approve --role node " + r.RequestID
	}
	return "bootstrap approve " + r.RequestID
}

// waitingPatience is how often a person hears that a gateway is away.
const waitingPatience = 10 * time.Second

// logWaiting tells seldom that the gateway cannot be reached.
func (w watcher) logWaiting() func(error, time.Duration) {
	var last time.Time
	return func(why error, pause time.Duration) {
		if now := time.Now(); now.Sub(last) > waitingPatience {
			last = now
			w.Log.Info().Str("again_in", pause.Round(time.Millisecond).String()).Msg("not watching at this moment: " + why.Error())
		}
	}
}

// watching is a watcher beside a gateway that we supervise.
type watching struct {
	mu     sync.Mutex
	cancel context.CancelFunc
	ended  chan struct{}
}

// ensure starts the watcher where a policy is set and none is at work.
func (w *watching) ensure(ctx context.Context, t *pairing.Target, count func(approve.Record)) {
	if len(t.Settings.Approve) == 0 {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil {
		select {
		case <-w.ended:
		default:
			return
		}
	}
	ctx, w.cancel = context.WithCancel(ctx)
	ended := make(chan struct{})
	w.ended = ended
	go func() {
		defer close(ended)
		var began time.Time
		for pause := firstRetry; ctx.Err() == nil; pause = min(2*pause, lastRetry) {
			err := Watch(ctx, t.AuthNow(), t.Listen.URL(), &began, count) // --gateway-url is for clients; we are beside the gateway
			if err == nil || ctx.Err() != nil {
				return
			}
			t.Log.Error().Str("hint", pairing.HintOf(err)).Str("again_in", pause.String()).Msg("no pairing request is approved until then: " + err.Error())
			select {
			case <-ctx.Done():
			case <-time.After(pause):
			}
		}
	}()
}

// stop ends the watcher and waits for that.
func (w *watching) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.ended != nil {
		w.cancel()
		<-w.ended
	}
}
