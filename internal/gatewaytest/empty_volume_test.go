package gatewaytest_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// An empty volume and "bootstrap run" alone are how most gateways start. Where the
// release has a database its gateway makes the key itself, and keeps it: a file with
// a key would make its first boot migrate that, which takes 2026.9.6 two seconds of
// eight. A key that was given is the device all the same.
func TestAnEmptyVolumeIsPairedWithTheGatewaysOwnKey(t *testing.T) {
	t.Parallel()
	gatewaytest.NeedGateway(t)
	for _, version := range matrixReleases() {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			newVolume(t, version, t.TempDir()).livesFromNothing(t)
		})
	}
	t.Run("with a key that is given, and narrowed", func(t *testing.T) {
		t.Parallel()
		given := newDevice(t)
		file := filepath.Join(t.TempDir(), "key.pem")
		if err := os.WriteFile(file, []byte(given.PrivatePEM()), 0o600); err != nil {
			t.Fatal(err)
		}
		v := newVolume(t, sqliteEra, t.TempDir())
		g := v.run(t, "--handover=supervise", "--require-paired", "--identity-file", file, "--preset", "read")
		g.WaitOutput(t, saysProven)
		// Neither makes it an administrator.
		v.bootstrapBeside(t, 0, "join", "--name", "agent-1")
		v.bootstrapBeside(t, 0, "seed", "--client", "agent-2")
		v.wantLetIn(t, given.DeviceID(), []string{"operator.read"})
		if v.self(t) != given.DeviceID() {
			t.Errorf("the device is %s, not %s", v.self(t), given.DeviceID())
		}
		v.stopsWell(t, g)
	})
}

func (v volume) livesFromNothing(t *testing.T) {
	g := v.run(t, "--handover=supervise", "--require-paired", "--client", "keeper")
	g.WaitOutput(t, saysProven)
	self := v.self(t)
	_, err := os.Lstat(filepath.Join(v.state, "identity", "device.json"))
	if made := strings.Contains(g.Output(), "identity created"); made == v.migrated(t) || os.IsNotExist(err) != v.migrated(t) {
		t.Errorf("a key made here: %v, its file: %v, a database: %v", made, err, v.migrated(t))
	}
	v.wantLetIn(t, self, fullOf(v.version))
	// A bundle as the state directory, in an image that has the release (2026.9.5 reads no
	// pairing files).
	release := filepath.Dir(gatewaytest.Install(t, v.version)[1])
	v.wantLetIn(t, must(readIdentity(v.bundle("keeper")))(t), standardScopes, "--state-dir", v.bundle("keeper"), "--gateway-package", release)
	v.stopsWell(t, g)

	g = v.run(t, "--handover=exec", "--client", "keeper")
	g.WaitReady(t)
	logged(t, g, saysUnchanged)
	v.wantLetIn(t, self, fullOf(v.version))
	if now := v.self(t); now != self {
		t.Errorf("the device was %s and is %s", self, now)
	}
	v.stopsWell(t, g)
}
