package entrypoint

import (
	"context"
	"errors"
	"slices"

	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
)

// joinHere pairs whoever asks our bridge for a name that has no bundle, beside
// the gateway that we supervise: by seeding, as at the start.
func joinHere(t *pairing.Target) func(context.Context, string) error {
	return joinBy(t.Settings, func(ctx context.Context, client settings.Client) error {
		// It is asked for only where the gateway has just answered.
		seeded, err := t.Pair(ctx, pairing.Wishes{Live: true, Clients: settings.Clients{client}})
		if err != nil {
			return err
		}
		if seeded.Named(client.Name).Outcome == seed.Revoked {
			return &bridge.JoinError{
				Command: "bootstrap seed --reseed " + client.Name,
				Err:     errors.New("somebody removed this client, and it stays removed"),
			}
		}
		return nil
	})
}

// joinElsewhere does the same for a bridge that stands alone, by whichever way
// works here, and waits for nobody.
func joinElsewhere(t *pairing.Target) func(context.Context, string) error {
	return joinBy(t.Settings, func(ctx context.Context, client settings.Client) error {
		_, err := t.Join(ctx, pairing.Joining{Client: client})
		return err
	})
}

// joinBy joins the client of a name. Nil where nobody shall be joined.
func joinBy(s settings.Settings, join func(context.Context, settings.Client) error) func(context.Context, string) error {
	if s.BridgeJoin == "" {
		return nil
	}
	return func(ctx context.Context, name string) error {
		client, err := joinedClient(s, name)
		if err != nil {
			return err
		}
		return joinFailed(join(ctx, client))
	}
}

// joinedClient is what the settings say of this client, else one with the scopes
// that every joined client gets.
func joinedClient(s settings.Settings, name string) (settings.Client, error) {
	i := slices.IndexFunc(s.Clients, func(c settings.Client) bool { return c.Name == name })
	switch {
	case i < 0:
		return pairing.ClientNamed(name + ":" + s.BridgeJoin)
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
	failed := &bridge.JoinError{Command: pairing.HintOf(err), Err: err}
	if refused := (*pairing.RefusedError)(nil); errors.As(err, &refused) && refused.Verdict.RequestID != "" {
		// One command, for a close reason has little room.
		failed.Command, failed.Pending = "bootstrap approve "+refused.Verdict.RequestID, true
	}
	return failed
}
