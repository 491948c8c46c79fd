package pairing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// Joining is a client to pair, whichever way works here.
type Joining struct {
	Client settings.Client
	// Again: also where somebody has removed it.
	Again bool
	// Wait is how long a gateway may take to answer, and a person to approve.
	Wait time.Duration
	// As is what the client will send; empty parts have their defaults.
	As seed.ClientKind
}

// ClientNamed reads NAME[:PRESET].
func ClientNamed(name string) (settings.Client, error) {
	var clients settings.Clients
	err := clients.UnmarshalText([]byte(name))
	switch {
	case err != nil:
		return settings.Client{}, Usage(fmt.Errorf("--name: %w", err), "")
	case len(clients) != 1 || clients[0].PublicKey != "":
		return settings.Client{}, Usage(errors.New("--name: one client is wanted, such as agent-1 or viewer:read"), "bootstrap join --name agent-1")
	}
	return clients[0], nil
}

// Joined is what came of it.
type Joined struct {
	DeviceID string
	Scopes   []string
	// Way is seeded, let-in, approved, or already where nothing was to be done;
	// empty where the client is not in.
	Way string
}

// joining is one run of [Target.Join].
type joining struct {
	*Target
	Joining
	out Joined
}

func (j *joining) clients() settings.Clients { return settings.Clients{j.Client} }

// Join gets the client in, and records how it describes itself, also where a
// person has yet to approve it. What there is of the result comes with an error, too.
func (t *Target) Join(ctx context.Context, as Joining) (Joined, error) {
	j := &joining{Target: t, Joining: as, out: Joined{Scopes: as.Client.WantedScopes(t.Release)}}
	err := j.run(ctx)
	return j.out, err
}

func (j *joining) run(ctx context.Context) error {
	if j.Settings.GatewayURL == "" {
		if err := j.MayPair(); err != nil {
			return err
		}
	}
	claim, err := j.claim(ctx)
	if err != nil {
		return err
	}
	defer claim.Release()
	bundle := seed.Bundle{Dir: filepath.Join(j.BundlesDir(), j.Client.Name)}
	recorded, err := bundle.Kind()
	if err != nil {
		return err
	}
	j.As.Platform, j.As.Family = cmp.Or(j.As.Platform, recorded.Platform), cmp.Or(j.As.Family, recorded.Family)
	j.As.ID, j.As.Mode = cmp.Or(j.As.ID, recorded.ID), cmp.Or(j.As.Mode, recorded.Mode)
	err = j.tryWays(ctx)
	if j.out.DeviceID == "" {
		return err // there is no bundle
	}
	return errors.Join(err, bundle.Describe(j.As))
}

// claim waits for another join of the same client.
func (j *joining) claim(ctx context.Context) (*atomicfile.Lock, error) {
	waiting := time.AfterFunc(seed.LockPatience, func() {
		j.Log.Info().Str("at_most", j.Settings.LockTimeout.String()).Msg("waiting for another bootstrap that gets " + j.Client.Name + " paired")
	})
	defer waiting.Stop()
	return seed.ClaimBundle(ctx, j.BundlesDir(), j.Client.Name, j.Settings.LockTimeout)
}

// tryWays tries them in order of what they need.
func (j *joining) tryWays(ctx context.Context) error {
	if j.folderIsHere() {
		done, err := j.bySeeding(ctx)
		if done || err != nil {
			return err
		}
	}
	return j.byAsking(ctx)
}

// folderIsHere tells whether this is the machine and the directory of the gateway
// that is meant.
func (j *joining) folderIsHere() bool {
	if j.isClients() || !(approve.Gateway{URL: j.URL}).IsLoopback() { // loopback may be a tunnel's end
		return false
	}
	return slices.ContainsFunc([]string{"openclaw.json", "devices", "state"}, func(name string) bool {
		return atomicfile.Exists(filepath.Join(j.StateDir, name))
	})
}

// bySeeding is false where the store cannot be written, or is not the one that
// the gateway reads.
func (j *joining) bySeeding(ctx context.Context) (done bool, err error) {
	live, err := j.IsServed(ctx)
	if err != nil {
		return false, err
	}
	w := Wishes{Live: live, Clients: j.clients()}
	if j.Again {
		w.Reseed = []string{j.Client.Name}
	}
	seeded, err := j.Pair(ctx, w)
	if err != nil {
		if done, err := j.byGateway(ctx, live, err); done || err != nil {
			return done, err
		}
	}
	switch {
	case errors.As(err, new(*seed.StoreError)), errors.As(err, new(*seed.SchemaError)):
		j.Log.Info().Msg("the state directory cannot be seeded, asking the gateway instead: " + err.Error())
		return false, nil
	case err != nil:
		return false, err
	}
	result := seeded.Named(j.Client.Name)
	if j.out.DeviceID = result.DeviceID; result.Outcome == seed.Revoked {
		return false, j.removed()
	}
	verdict := j.proveBundle(ctx, result.Token, result.Scopes)
	if verdict.Outcome == probe.NotPaired {
		j.Log.Info().Msg("the gateway does not read this state directory; asking it instead")
		return false, nil
	}
	j.out.Way = "seeded"
	if result.Outcome == seed.Unchanged {
		j.out.Way = "already"
	}
	return true, refusedUnlessOK(verdict)
}

// byGateway has the gateway pair the client where its database is out of reach; it
// is false where that cannot be, or fails: then the client itself has to ask.
func (j *joining) byGateway(ctx context.Context, live bool, failed error) (done bool, err error) {
	if !seed.OutOfReach(failed) {
		return false, nil
	}
	clients, err := j.openClients(j.clients())
	if err != nil {
		return false, err
	}
	clients[0].device.Reseed = j.Again
	var result seed.Result
	var how approve.How
	err = j.AskGateway(ctx, live, failed, func(g *ViaGateway) (err error) {
		result, how, err = g.pairClient(ctx, clients[0])
		return err
	})
	if err != nil {
		return false, nil // which is told by who asks next
	}
	if j.out.DeviceID = result.DeviceID; result.Outcome == seed.Revoked {
		return false, j.removed()
	}
	j.out.Way = cmp.Or(string(how), "already")
	return true, refusedUnlessOK(j.proveBundle(ctx, result.Token, j.Client.WantedScopes(j.Release)))
}

// proveBundle is the proof with the bundle's key.
func (j *joining) proveBundle(ctx context.Context, token string, scopes []string) probe.Verdict {
	bundle, err := seed.ReadBundle(j.BundlesDir(), j.Client.Name)
	if err != nil {
		return probe.Verdict{Message: err.Error()}
	}
	return j.probeBundle(ctx, bundle, token, scopes)
}

func (j *joining) probeBundle(ctx context.Context, bundle seed.Bundle, token string, scopes []string) probe.Verdict {
	return probe.Run(ctx, probe.Options{
		URL: j.URL, TLS: j.TLS(), Auth: probe.AuthDevice, Version: j.Version,
		Identity: bundle.Identity, DeviceToken: token, Scopes: scopes,
		ClientID: j.As.ID, ClientMode: j.As.Mode, Platform: j.As.Platform, DeviceFamily: j.As.Family,
		DisplayName: "bootstrap: " + j.Client.Name,
		Wait:        j.Wait, Progress: j.Progress(),
	})
}

// removed: somebody has decided that this client shall not be in.
func (j *joining) removed() error {
	return &RefusedError{Verdict: probe.Verdict{
		Outcome: probe.NotPaired,
		Message: "the gateway does not know this client any more: somebody removed it, or its token was revoked; it is not asked for again",
		Hints:   []string{"if it shall come back: " + j.OwnCommand("join", "--again", "--name", j.Client.Name+":"+j.Client.Preset)},
	}}
}

// byAsking gets the client in through the gateway itself.
func (j *joining) byAsking(ctx context.Context) error {
	bundle, err := seed.OpenBundle(j.BundlesDir(), j.Client.Name)
	if err != nil {
		return err
	}
	j.out.DeviceID = bundle.Identity.DeviceID()
	known, err := bundle.Credentials()
	if err != nil {
		return err
	}
	if known.Token != "" && !j.Again {
		verdict := j.probeBundle(ctx, bundle, known.Token, j.Client.WantedScopes(j.Release))
		switch verdict.Outcome {
		case probe.OK:
			j.out.Way = "already"
			return j.finish(bundle, known.Token, known.Scopes)
		case probe.NotPaired:
			return j.removed()
		case probe.UpgradeWanted:
			j.Log.Info().Msg("paired, but not for this: " + verdict.Message)
		default:
			return refusedUnlessOK(verdict)
		}
	}
	return j.ask(ctx, bundle)
}

func (j *joining) ask(ctx context.Context, bundle seed.Bundle) error {
	gateway := j.Loopback()
	gateway.URL = j.URL
	result, err := approve.Join(ctx, approve.JoinOptions{
		Options: approve.Options{
			Gateway: gateway, Identity: bundle.Identity, Scopes: j.Client.WantedScopes(j.Release),
			DisplayName: "bootstrap: " + j.Client.Name, Platform: j.As.Platform, DeviceFamily: j.As.Family,
			ClientID: j.As.ID, ClientMode: j.As.Mode,
			Wait: j.Wait, Progress: j.Progress(),
		},
		Approver: func(ctx context.Context) (*approve.Caller, error) { return j.OpenApprover(ctx, j.ApproverURL()) },
		CannotApprove: func(err error) {
			j.Log.Info().Msg("this request waits for a person: " + err.Error())
		},
		Asked: func(id string) {
			j.Log.Warn().Str("requestId", id).Str("device", bundle.Identity.DeviceID()).
				Str("hint", approveHint(id)).Msg("a person has to approve this client, beside the gateway and within five minutes")
		},
	})
	if err != nil {
		return joinError(err)
	}
	j.out.Way, j.out.Scopes = string(result.How), result.Scopes
	return j.finish(bundle, result.DeviceToken, result.Scopes)
}

func approveHint(requestID string) string {
	return "bootstrap approve " + requestID + "   or: openclaw devices approve " + requestID
}

// finish tells the client to find the gateway where it was asked: that has worked.
// BOOTSTRAP_CLIENT_URL is for who seeds.
func (j *joining) finish(bundle seed.Bundle, token string, scopes []string) error {
	result := seed.Result{Name: j.Client.Name, DeviceID: j.out.DeviceID, Token: token, Scopes: scopes}
	return j.FinishBundle(bundle, result, j.URL)
}

// joinError keeps the verdict, for the exit code and the request.
func joinError(err error) error {
	var failed *approve.Error
	if !errors.As(err, &failed) || failed.Verdict.Outcome == "" {
		return fmt.Errorf("cannot join: %w", err)
	}
	verdict := failed.Verdict
	if verdict.RequestID != "" {
		verdict.Hints = append([]string{approveHint(verdict.RequestID) + "   then join again: it finishes by itself"}, verdict.Hints...)
	}
	return &RefusedError{Verdict: verdict, Cause: failed.Err}
}

func refusedUnlessOK(verdict probe.Verdict) error {
	if verdict.OK {
		return nil
	}
	return &RefusedError{Verdict: verdict}
}
