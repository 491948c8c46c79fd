package statedb

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

func newIdentity(t testing.TB) identity.Identity {
	t.Helper()
	id, err := identity.New(time.UnixMilli(1795363690401))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestTheFirstIdentityStays(t *testing.T) {
	ctx := context.Background()
	db := mustOpen(t, database(t, gatewayTables))
	if id, err := db.PrimaryIdentity(ctx); err != nil || !id.IsZero() {
		t.Fatalf("before: %v, %v", id.IsZero(), err)
	}
	first := newIdentity(t)
	for _, id := range []identity.Identity{first, first, newIdentity(t)} {
		if err := db.StorePrimaryIdentity(ctx, id); err != nil {
			t.Fatal(err)
		}
		got, err := db.PrimaryIdentity(ctx)
		if err != nil || !got.Equal(first) || !got.CreatedAt().Equal(first.CreatedAt()) {
			t.Errorf("another device, or another moment: %v", err)
		}
	}
}

func TestWithoutTheTableThereIsNoIdentity(t *testing.T) {
	db := mustOpen(t, database(t, gatewayTables, "DROP TABLE device_identities"))
	if id, err := db.PrimaryIdentity(context.Background()); err != nil || !id.IsZero() {
		t.Errorf("got %v, %v", id.IsZero(), err)
	}
	if err := db.StorePrimaryIdentity(context.Background(), newIdentity(t)); !errors.As(err, new(*Error)) {
		t.Errorf("a table was made: %v", err)
	}
}

func TestARowThatDoesNotHoldIsNamedWithoutItsKey(t *testing.T) {
	good, other := newIdentity(t), newIdentity(t)
	for name, c := range map[string]struct{ set, want string }{
		"another device id":  {"device_id = '" + other.DeviceID() + "'", "deviceId is not the SHA-256"},
		"no device id":       {"device_id = ''", "deviceId is not the SHA-256"},
		"another public key": {"public_key_pem = '" + other.PublicPEM() + "'", "does not belong"},
		"no private key":     {"private_key_pem = ''", "private key is not PEM"},
		"no public key":      {"public_key_pem = 'x'", "public key is not PEM"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := database(t, gatewayTables)
			if err := mustOpen(t, dir).StorePrimaryIdentity(context.Background(), good); err != nil {
				t.Fatal(err)
			}
			change(t, dir, "UPDATE device_identities SET "+c.set)
			_, err := mustOpen(t, dir).PrimaryIdentity(context.Background())
			var fault *identity.Error
			if !errors.As(err, &fault) || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(fault.Path, Path(dir)) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			body := strings.Split(good.PrivatePEM(), "\n")[1]
			if strings.Contains(err.Error(), body) {
				t.Error("the key is in the error")
			}
		})
	}
}

func TestAnotherRowThanPrimaryIsNobodysDevice(t *testing.T) {
	dir := database(t, gatewayTables)
	if err := mustOpen(t, dir).StorePrimaryIdentity(context.Background(), newIdentity(t)); err != nil {
		t.Fatal(err)
	}
	change(t, dir, "UPDATE device_identities SET identity_key = 'backup'")
	if id, err := mustOpen(t, dir).PrimaryIdentity(context.Background()); err != nil || !id.IsZero() {
		t.Errorf("got %v, %v", id.IsZero(), err)
	}
}
