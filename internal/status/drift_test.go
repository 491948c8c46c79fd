package status

import (
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// Whether the settings name it or not: its token works until the next run.
func TestADeviceThatWasRevokedAndIsStillInTheStoreIsNamedSo(t *testing.T) {
	id, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	public, err := identity.ParsePublicKey(id.PublicKey())
	if err != nil {
		t.Fatal(err)
	}
	device := seed.Device{Name: "agent-1", PublicKey: public, Scopes: []string{"operator.read"}}
	survey := seed.Survey{Devices: []seed.Seen{{DeviceID: device.ID(), Name: "agent-1", Scopes: device.Scopes, Present: true, Revoked: true, NameRevoked: true}}}
	for name, wanted := range map[string][]seed.Device{"named": {device}, "not named": nil} {
		if got := compare(wanted, nil, survey); len(got) != 1 || got[0].Drift != Lingering {
			t.Errorf("%s: %+v", name, got)
		}
	}
	survey.Devices[0].Present = false
	if got := compare(nil, nil, survey); len(got) != 1 || got[0].Drift != Revoked {
		t.Errorf("gone: %+v", got)
	}
}
