package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// asking is a gateway that serves a database which is out of reach for this
// process, and is asked for what would have been written there.
type asking struct {
	*app
	s      settings.Settings
	p      place
	beside *seed.Beside
	caller *approve.Caller
	paired map[string]approve.Paired
}

// askGateway does something through the gateway where the store is out of reach
// for us. Else, and where the gateway cannot be asked either, it returns what
// failed: the exit code is that of the store.
func (a *app) askGateway(ctx context.Context, s settings.Settings, p place, live bool, failed error, do func(*asking) error) error {
	gateway := loopback(s, p)
	if !live || !seed.OutOfReach(failed) {
		return failed
	}
	if gateway.Token == "" && gateway.Password == "" {
		a.log.Info().Msg("the gateway that runs on this database could be asked instead, with its token in OPENCLAW_GATEWAY_TOKEN")
		return failed
	}
	a.log.Warn().Err(failed).Msg("the database is out of reach for this process: asking the gateway that runs on it instead")
	beside, err := seed.OpenBeside(ctx, p.seedOptions(s))
	if err != nil {
		return err
	}
	err = a.asked(ctx, s, p, gateway, beside, do)
	if err = errors.Join(err, beside.Close()); err != nil && codeOf(err) == Unexpected {
		// One that waits for the same lock answers with its own time-out, or not at all.
		return fmt.Errorf("%w; and the gateway, asked to do it, could not either: %w", failed, err)
	}
	return err
}

func (a *app) asked(ctx context.Context, s settings.Settings, p place, gateway approve.Gateway, beside *seed.Beside, do func(*asking) error) error {
	caller, err := approve.Open(ctx, gateway)
	if err != nil {
		return err
	}
	defer caller.Close()
	_, paired, err := approve.List(ctx, caller.Client)
	if err != nil {
		return err
	}
	g := &asking{app: a, s: s, p: p, beside: beside, caller: caller, paired: map[string]approve.Paired{}}
	for _, device := range paired {
		g.paired[device.DeviceID] = device
	}
	return do(g)
}

// pairAll pairs the clients. The folder's own device has its key in the database:
// it has to be paired already, by what the gateway lists.
func (g *asking) pairAll(ctx context.Context, w wishes) (out pairing, err error) {
	if w.prune || !w.imported.IsZero() || slices.Contains(w.reseed, seed.SelfName) {
		return out, errors.New("--prune, an imported key and --reseed self need the database itself")
	}
	self, err := g.ownDevice()
	if err != nil {
		return out, err
	}
	out.results = append(out.results, self)
	clients, err := openClients(g.s, g.p)
	if err != nil {
		return out, err
	}
	for _, c := range clients {
		c.device.Reseed = slices.Contains(w.reseed, c.device.Name)
		result, _, err := g.pairClient(ctx, c)
		if err != nil {
			return out, err
		}
		out.results = append(out.results, result)
	}
	out.store = seed.Info{Kind: seed.SQLite, Path: g.p.StateDir, Why: "the gateway was asked"}
	return out, nil
}

// ownDevice looks whether the gateway still lists the folder's own device.
func (g *asking) ownDevice() (seed.Result, error) {
	devices, err := g.beside.Seeded(seed.SelfName)
	if err != nil && !errors.As(err, new(*seed.NameError)) {
		return seed.Result{}, err
	}
	for _, device := range slices.Backward(devices) {
		if listed, here := g.paired[device.ID()]; here && !revokedToken(listed) {
			return seed.Result{Name: seed.SelfName, DeviceID: device.ID(), Outcome: seed.Unchanged, Scopes: listed.Scopes}, nil
		}
	}
	return seed.Result{}, errors.New("the gateway does not list this folder's own device, and its key is in the database; a client alone is paired by: " + g.command("join") + " --name NAME")
}

// pairClient pairs one client that has its key in a bundle. The token is the
// gateway's to make.
func (g *asking) pairClient(ctx context.Context, c client) (seed.Result, approve.How, error) {
	id := c.device.ID()
	listed, here := g.paired[id]
	result := seed.Result{Name: c.device.Name, DeviceID: id, Outcome: seed.Created, Scopes: c.device.Scopes}
	switch {
	case g.beside.StaysOut(c.device, here), here && revokedToken(listed) && !c.device.Reseed:
		result.Outcome, result.Scopes = seed.Revoked, nil
		return result, "", nil
	case here && !c.device.Reseed && covers(listed.Scopes, c.device.Scopes):
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
func (g *asking) admit(ctx context.Context, c client, here bool, result *seed.Result) (approve.How, error) {
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
		Gateway: loopback(g.s, g.p), Identity: c.bundle.Identity, Scopes: c.device.Scopes, DisplayName: "bootstrap: " + c.device.Name,
	})
	if err != nil {
		return "", err
	}
	result.Token, result.Scopes = paired.DeviceToken, paired.Scopes
	g.beside.Paired(c.device, result.Outcome)
	return paired.How, finishClients([]client{c}, []seed.Result{*result}, bundleURL(g.s, g.p))
}

func revokedToken(device approve.Paired) bool {
	return slices.ContainsFunc(device.Tokens, func(token approve.Token) bool {
		return token.Role == "operator" && !token.RevokedAt.IsZero()
	})
}

// revoke removes what was seeded under a name.
func (g *asking) revoke(ctx context.Context, name string) error {
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
		g.log.Info().Str("name", name).Str("device", shortID(device.ID())).Msg(message)
	}
	return nil
}

// rotate has the gateway end the tokens of a name. From 2026.5.28 on it shows the
// new one to the device alone: a client with its key in a bundle fetches it.
func (g *asking) rotate(ctx context.Context, name string) error {
	devices, err := g.beside.Seeded(name)
	if err != nil {
		return err
	}
	bundle, err := seed.ReadBundle(bundlesDir(g.s, g.p), name)
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
		if _, err := approve.RotateToken(ctx, g.caller.Client, device.ID(), "operator"); err != nil {
			return err
		}
		if bundle.Identity.IsZero() || bundle.Identity.DeviceID() != device.ID() {
			g.log.Warn().Str("name", name).Str("device", shortID(device.ID())).
				Msg("token rotated, by the gateway: the old one is refused from now on; the client gets the new one when it connects with the gateway's token")
			continue
		}
		c := client{device: device, bundle: bundle}
		paired, err := approve.PairOverLoopback(ctx, approve.Options{
			Gateway: loopback(g.s, g.p), Identity: bundle.Identity, Scopes: device.Scopes, DisplayName: "bootstrap: " + name,
		})
		if err != nil {
			return err
		}
		result := seed.Result{Name: name, DeviceID: device.ID(), Token: paired.DeviceToken, Scopes: paired.Scopes}
		if err := finishClients([]client{c}, []seed.Result{result}, bundleURL(g.s, g.p)); err != nil {
			return err
		}
		g.log.Info().Str("name", name).Str("device", shortID(device.ID())).Msg("token rotated, by the gateway: the old one is refused from now on")
	}
	if !rotated {
		return &seed.StoreError{Path: g.p.StateDir, Err: fmt.Errorf("the device %q is not paired any more", name), Mend: g.command("seed", "--reseed", name)}
	}
	return nil
}
