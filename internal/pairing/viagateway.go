package pairing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/seed"
)

// ViaGateway makes changes through the gateway's own methods, where this process cannot
// write the database that the gateway serves.
type ViaGateway struct {
	*Target
	beside *seed.LedgerSession
	caller *approve.Caller
	paired map[string]approve.Paired
}

// AskGateway does something through the gateway where the store is out of reach
// for us. Else, and where the gateway cannot be asked either, it returns what
// failed: the exit code is that of the store.
func (t *Target) AskGateway(ctx context.Context, live bool, failed error, do func(*ViaGateway) error) error {
	gateway := t.Loopback()
	if !live || !seed.OutOfReach(failed) {
		return failed
	}
	if gateway.Token == "" && gateway.Password == "" {
		t.Log.Info().Msg("the gateway that runs on this database could be asked instead, with its token in OPENCLAW_GATEWAY_TOKEN")
		return failed
	}
	t.Log.Warn().Err(failed).Msg("the database is out of reach for this process: asking the gateway that runs on it instead")
	beside, err := seed.OpenLedger(ctx, t.SeedOptions())
	if err != nil {
		return err
	}
	err = t.withGateway(ctx, gateway, beside, do)
	if err = errors.Join(err, beside.Close()); err != nil && !errors.As(err, new(classed)) {
		// One that waits for the same lock answers with its own time-out, or not at all.
		return fmt.Errorf("%w; and the gateway, asked to do it, could not either: %w", failed, err)
	}
	return err
}

func (t *Target) withGateway(ctx context.Context, gateway approve.Gateway, beside *seed.LedgerSession, do func(*ViaGateway) error) error {
	caller, err := approve.Open(ctx, gateway)
	if err != nil {
		return err
	}
	defer caller.Close()
	_, paired, err := approve.List(ctx, caller.Client)
	if err != nil {
		return err
	}
	g := &ViaGateway{Target: t, beside: beside, caller: caller, paired: map[string]approve.Paired{}}
	for _, device := range paired {
		g.paired[device.DeviceID] = device
	}
	return do(g)
}

// PairAll pairs the clients. The directory's own device has its key in the database:
// it has to be paired already, by what the gateway lists.
func (g *ViaGateway) PairAll(ctx context.Context, w Wishes) (out Paired, err error) {
	if w.Prune || !w.Imported.IsZero() || slices.Contains(w.Reseed, seed.SelfName) {
		return out, errors.New("--prune, an imported key and --reseed self need the database itself")
	}
	self, err := g.ownDevice()
	if err != nil {
		return out, err
	}
	out.Results = append(out.Results, self)
	clients, err := g.openClients(w.wantedOf(g.Settings))
	if err != nil {
		return out, err
	}
	for _, c := range clients {
		c.device.Reseed = slices.Contains(w.Reseed, c.device.Name)
		result, _, err := g.pairClient(ctx, c)
		if err != nil {
			return out, err
		}
		out.Results = append(out.Results, result)
	}
	out.Store = seed.Info{Kind: seed.SQLite, Path: g.StateDir, Why: "the gateway was asked"}
	g.report(out, nil)
	return out, nil
}

// ownDevice looks whether the gateway still lists the directory's own device.
func (g *ViaGateway) ownDevice() (seed.Result, error) {
	devices, err := g.beside.Seeded(seed.SelfName)
	if err != nil && !errors.As(err, new(*seed.NameError)) {
		return seed.Result{}, err
	}
	for _, device := range slices.Backward(devices) {
		if listed, here := g.paired[device.ID()]; here && !revokedToken(listed) {
			return seed.Result{Name: seed.SelfName, DeviceID: device.ID(), Outcome: seed.Unchanged, Scopes: listed.Scopes}, nil
		}
	}
	return seed.Result{}, errors.New("the gateway does not list this directory's own device, and its key is in the database; a client alone is paired by: " + g.OwnCommand("join") + " --name NAME")
}

// pairClient pairs one client that has its key in a bundle. The token is the
// gateway's to make.
func (g *ViaGateway) pairClient(ctx context.Context, c client) (seed.Result, approve.How, error) {
	id := c.device.ID()
	listed, here := g.paired[id]
	result := seed.Result{Name: c.device.Name, DeviceID: id, Outcome: seed.Created, Scopes: c.device.Scopes}
	switch {
	case g.beside.StaysOut(c.device, here), here && revokedToken(listed) && !c.device.Reseed:
		result.Outcome, result.Scopes = seed.Revoked, nil
		return result, "", nil
	case here && !c.device.Reseed && Covers(listed.Scopes, c.device.Scopes):
		result.Outcome, result.Wider = seed.Unchanged, seed.Beyond(c.device.Scopes, listed.Scopes)
	case here && !c.device.Reseed:
		result.Outcome = seed.Updated
	}
	if c.bundle.Identity.IsZero() {
		if result.Outcome == seed.Unchanged {
			return result, "", nil
		}
		return result, "", fmt.Errorf("client %s keeps its key to itself, and the gateway lets nobody ask in its name: let it connect, then: bootstrap approve --list", c.device.Name)
	}
	known, err := c.bundle.Credentials()
	if err != nil {
		return result, "", err
	}
	if result.Outcome == seed.Unchanged && known.Token != "" {
		result.Token = known.Token
		g.beside.Paired(c.device, result.Outcome)
		return result, "", nil
	}
	how, err := g.admit(ctx, c, here, &result)
	return result, how, err
}

// admit has the gateway pair a client, or give it its token once more.
func (g *ViaGateway) admit(ctx context.Context, c client, here bool, result *seed.Result) (approve.How, error) {
	action := string(result.Outcome)
	if c.device.Reseed {
		action = "reseeded"
	}
	if err := g.beside.Audit(action, c.device); err != nil {
		return "", err
	}
	if here && c.device.Reseed {
		if err := approve.Remove(ctx, g.caller.Client, c.device.ID()); err != nil {
			return "", err
		}
	}
	paired, err := approve.PairOverLoopback(ctx, approve.Options{
		Gateway: g.Loopback(), Identity: c.bundle.Identity, Scopes: c.device.Scopes, DisplayName: "bootstrap: " + c.device.Name,
	})
	if err != nil {
		return "", err
	}
	result.Token, result.Scopes = paired.DeviceToken, paired.Scopes
	g.beside.Paired(c.device, result.Outcome)
	return paired.How, g.FinishBundle(c.bundle, *result, g.BundleURL())
}

func revokedToken(device approve.Paired) bool {
	return slices.ContainsFunc(device.Tokens, func(token approve.Token) bool {
		return token.Role == "operator" && !token.RevokedAt.IsZero()
	})
}

// Revoke removes what was seeded under a name.
func (g *ViaGateway) Revoke(ctx context.Context, name string) error {
	devices, err := g.beside.Seeded(name)
	if err != nil {
		return err
	}
	for _, device := range devices {
		message := "it was not paired any more; it stays out"
		if _, here := g.paired[device.ID()]; here {
			if err := g.beside.Audit("revoked", device); err != nil {
				return err
			}
			if err := approve.Remove(ctx, g.caller.Client, device.ID()); err != nil {
				return err
			}
			message = "revoked, by the gateway"
		}
		g.beside.Revoked(device)
		g.Log.Info().Str("name", name).Str("device", ShortID(device.ID())).Msg(message)
	}
	return nil
}

// Rotate has the gateway end the tokens of a name. From 2026.5.28 on it shows the
// new one to the device alone: a client with its key in a bundle fetches it.
func (g *ViaGateway) Rotate(ctx context.Context, name string) error {
	devices, err := g.beside.Seeded(name)
	if err != nil {
		return err
	}
	bundle, err := seed.ReadBundle(g.BundlesDir(), name)
	if err != nil {
		return err
	}
	rotated := false
	for _, device := range devices {
		if listed, here := g.paired[device.ID()]; !here || revokedToken(listed) {
			continue
		}
		rotated = true
		if err := g.beside.Audit("rotated", device); err != nil {
			return err
		}
		if err := approve.RotateToken(ctx, g.caller.Client, device.ID()); err != nil {
			return err
		}
		if bundle.Identity.IsZero() || bundle.Identity.DeviceID() != device.ID() {
			g.Log.Warn().Str("name", name).Str("device", ShortID(device.ID())).
				Msg("token rotated, by the gateway: the old one is refused from now on; the client gets the new one when it connects with the gateway's token")
			continue
		}
		paired, err := approve.PairOverLoopback(ctx, approve.Options{
			Gateway: g.Loopback(), Identity: bundle.Identity, Scopes: device.Scopes, DisplayName: "bootstrap: " + name,
		})
		if err != nil {
			return err
		}
		result := seed.Result{Name: name, DeviceID: device.ID(), Token: paired.DeviceToken, Scopes: paired.Scopes}
		if err := g.RenewBundle(bundle, result); err != nil {
			return err
		}
		g.Log.Info().Str("name", name).Str("device", ShortID(device.ID())).Msg("token rotated, by the gateway: the old one is refused from now on")
	}
	if !rotated {
		return &seed.StoreError{Path: g.StateDir, Err: fmt.Errorf("the device %q is not paired any more", name), Fix: g.OwnCommand("seed", "--reseed", name)}
	}
	return nil
}
