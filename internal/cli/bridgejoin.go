package cli

import (
	"context"
	"errors"
	"slices"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// joinHere pairs whoever asks our bridge for a name that has no bundle, beside
// the gateway that we supervise: by seeding, as at the start.
func (a *app) joinHere(s settings.Settings, p place) func(context.Context, string) error {
	return joinBy(s, func(ctx context.Context, s settings.Settings) error {
		// It is asked for only where the gateway has just answered.
		seeded, err := a.pair(ctx, s, p, wishes{live: true})
		if err != nil {
			return err
		}
		if seeded.named(s.Clients[0].Name).Outcome == seed.Revoked {
			return &bridge.JoinError{
				Command: "bootstrap seed --reseed " + s.Clients[0].Name,
				Err:     errors.New("somebody removed this client, and it stays removed"),
			}
		}
		return nil
	})
}

// joinElsewhere does the same for a bridge that stands alone, by whichever way
// works here, and waits for nobody.
func (a *app) joinElsewhere(s settings.Settings, p place) func(context.Context, string) error {
	return joinBy(s, func(ctx context.Context, s settings.Settings) error {
		return a.newJoining(s, p).run(ctx)
	})
}

// joinBy joins the client of a name, which is the only one of the settings that
// join gets. Nil where nobody shall be joined.
func joinBy(s settings.Settings, join func(context.Context, settings.Settings) error) func(context.Context, string) error {
	if s.BridgeJoin == "" {
		return nil
	}
	return func(ctx context.Context, name string) error {
		client, err := joinedClient(s, name)
		if err != nil {
			return err
		}
		only := s
		only.Clients = settings.Clients{client}
		return joinFailed(join(ctx, only))
	}
}

// joinedClient is what the settings say of this client, else one with the scopes
// that every joined client gets.
func joinedClient(s settings.Settings, name string) (settings.Client, error) {
	i := slices.IndexFunc(s.Clients, func(c settings.Client) bool { return c.Name == name })
	switch {
	case i < 0:
		return clientNamed(name + ":" + s.BridgeJoin)
	case s.Clients[i].PublicKey != "":
		return settings.Client{}, &bridge.JoinError{Err: errors.New("this client keeps its key to itself, so the bridge cannot sign for it")}
	}
	return s.Clients[i], nil
}

// joinFailed is an error with the command that a person has to type.
func joinFailed(err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(*bridge.JoinError)) {
		return err // it has one
	}
	failed := &bridge.JoinError{Command: hintOf(err), Err: err}
	if refused := (*refusedError)(nil); errors.As(err, &refused) && refused.verdict.RequestID != "" {
		// One command, for a close reason has little room.
		failed.Command, failed.Pending = "bootstrap approve "+refused.verdict.RequestID, true
	}
	return failed
}
