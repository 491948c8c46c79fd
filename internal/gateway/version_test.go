package gateway

import (
	"slices"
	"syscall"
	"testing"
)

func TestVersionsCompareByNumber(t *testing.T) {
	ascending := []string{
		"2026.1.29", "2026.2.9", "2026.2.26", "2026.6.35", "2026.7.1-beta.2", "2026.7.1", "2026.7.1-1", "2026.7.1-2", "2026.7.1-10",
		"2026.7.2-beta", "2026.7.2-beta.3", "2026.7.2-beta.10", "2026.7.2-rc.1", "2026.7.33", "2026.8.1", "2026.9.6", "2026.10.1",
	}
	for i, low := range ascending {
		for j, high := range ascending {
			a, errA := ParseVersion(low)
			b, errB := ParseVersion(high)
			if errA != nil || errB != nil {
				t.Fatal(errA, errB)
			}
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := a.Compare(b); got != want {
				t.Errorf("%s against %s is %d, want %d", low, high, got, want)
			}
		}
	}
}

func TestNoVersionIsRefused(t *testing.T) {
	for _, text := range []string{"", "2026", "2026.9", "2026.9.x", "2026.9.6.1", "-1.2.3", "2026.9.6-", "2026.9.6-beta..1", "9999999999.1.1", "latest"} {
		if v, err := ParseVersion(text); err == nil {
			t.Errorf("%q is read as %v", text, v)
		}
	}
}

func TestReleasesKnowTheirStoreAndSignal(t *testing.T) {
	for _, c := range []struct {
		version string
		era     Era
		restart syscall.Signal
		lease   bool
	}{
		{"2026.2.26", EraJSON, syscall.SIGUSR1, false},
		{"2026.6.35", EraJSON, syscall.SIGUSR1, false},
		{"2026.7.1-2", EraJSON, syscall.SIGUSR1, false},
		{"2026.7.2-beta.1", EraSQLite, syscall.SIGUSR1, false},
		{"2026.7.35", EraJSON, syscall.SIGUSR1, false},
		{"2026.8.1", EraSQLite, syscall.SIGUSR1, false},
		{"2026.9.5", EraSQLite, syscall.SIGUSR1, true},
		{"2026.9.6-beta.1", EraSQLite, 0, true},
		{"2026.9.6", EraSQLite, syscall.SIGUSR2, true},
		{"2026.10.1", EraSQLite, syscall.SIGUSR2, true},
	} {
		r := release(t, c.version)
		if r.Era() != c.era || r.RestartSignal() != c.restart || r.HasOwnerLease() != c.lease {
			t.Errorf("%s: era %v, signal %v, lease %v", c.version, r.Era(), r.RestartSignal(), r.HasOwnerLease())
		}
	}
	if unknown := (Release{}); unknown.Era() != EraUnknown || unknown.RestartSignal() != 0 || unknown.HasOwnerLease() || unknown.MakesOwnToken() {
		t.Error("an unknown release is taken for a known one")
	}
}

func FuzzParseVersion(f *testing.F) {
	for _, text := range []string{"2026.9.6", "v2026.7.2-beta.4", "2026.7.1-2", "1.2.3+build-1", "1.2.3-a..b", "..", "1.2.3-", "0.0.0-\b0\n0+0"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		version, err := ParseVersion(text)
		if err != nil {
			return
		}
		again, err := ParseVersion(version.String())
		if err != nil || again.Compare(version) != 0 || !slices.Equal(again.Pre, version.Pre) {
			t.Errorf("%q is read as %v, and that as %v (%v)", text, version, again, err)
		}
	})
}
