package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
)

// Release is an installed gateway package. The zero value is "not known".
type Release struct {
	Version Version
	Known   bool
}

// Era is the kind of pairing store that a release reads.
type Era int

const (
	EraUnknown Era = iota
	EraJSON        // devices/paired.json, read anew at every connect
	EraSQLite      // state/openclaw.sqlite; the JSON files are imported on first boot
)

// firstYear is that of the first releases: their numbers are dates.
const firstYear = 2026

// manifest is the part of package.json that matters here.
type manifest struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// ReadRelease reads the release from a package folder. No folder ("") and no
// package.json give the zero Release and no error.
func ReadRelease(packageDir string) (Release, error) {
	if packageDir == "" {
		return Release{}, nil
	}
	found, err := readManifest(packageDir)
	if errors.Is(err, fs.ErrNotExist) {
		return Release{}, nil
	}
	if err != nil {
		return Release{}, err
	}
	version, err := ParseVersion(found.Version)
	if err != nil {
		return Release{}, fmt.Errorf("cannot read release in %s: %w", packageDir, err)
	}
	if version.Year < firstYear {
		return Release{}, nil // a build from source that was never numbered
	}
	return Release{Version: version, Known: true}, nil
}

func readManifest(packageDir string) (manifest, error) {
	path := filepath.Join(packageDir, "package.json")
	data, err := readRegular(path, maxManifestBytes)
	if err != nil {
		return manifest{}, err
	}
	var found manifest
	if err := json.Unmarshal(data, &found); err != nil {
		return manifest{}, fmt.Errorf("cannot read %s: not a package manifest", path)
	}
	return found, nil
}

func (r Release) String() string {
	if !r.Known {
		return "unknown release"
	}
	return r.Version.String()
}

// since tells whether the release has what came with the given version. A release
// that is not known is taken for a new one.
func (r Release) since(year, month, patch int) bool {
	return !r.Known || r.Version.Compare(Version{Year: year, Month: month, Patch: patch}) >= 0
}

// Era tells which store the release reads: SQLite from 2026.8.1 and in the betas
// of 2026.7.2; JSON up to 2026.7.1 and in the later backports 2026.6.33+ and
// 2026.7.33+ (found in the packages, both sides seen running). What the state
// folder holds outweighs it.
func (r Release) Era() Era {
	if !r.Known {
		return EraUnknown
	}
	core := Version{Year: r.Version.Year, Month: r.Version.Month, Patch: r.Version.Patch}
	if core.Compare(Version{Year: 2026, Month: 8, Patch: 1}) >= 0 || core.Compare(Version{Year: 2026, Month: 7, Patch: 2}) == 0 {
		return EraSQLite
	}
	return EraJSON
}

// HasOwnerLease tells whether the gateway keeps a lease on its state folder that
// a kill leaves behind (from 2026.9.5).
func (r Release) HasOwnerLease() bool { return r.Known && r.since(2026, 9, 5) }

// ImportsPairings tells whether a first boot takes devices/paired.json over into
// the database: 2026.8.1 to 2026.9.4 and 2026.9.6 do, 2026.9.5 leaves it alone and
// complains ("Legacy pairing stores require repair"). Later ones are not known.
func (r Release) ImportsPairings() bool {
	return !r.Known || r.Version.compareCore(Version{Year: 2026, Month: 9, Patch: 5}) != 0
}

// RestartSignal is the signal that makes the gateway restart in place: SIGUSR1 up
// to 2026.9.5, SIGUSR2 from 2026.9.6, where SIGUSR1 opens Node's inspector. It is
// 0 where the release is not known or a pre-release of the change: no signal then.
func (r Release) RestartSignal() syscall.Signal {
	change := Version{Year: 2026, Month: 9, Patch: 6}
	switch {
	case !r.Known, r.Version.Pre != nil && r.Version.compareCore(change) == 0:
		return 0
	case r.Version.compareCore(change) < 0:
		return syscall.SIGUSR1
	}
	return syscall.SIGUSR2
}

// MakesOwnToken tells whether a gateway without any token writes a new one into
// openclaw.json and goes on, whatever it binds to (2026.5.7 and before; measured
// on 2026.2.26 and 2026.3.13). Newer ones refuse to listen beyond loopback.
func (r Release) MakesOwnToken() bool {
	return r.Known && !r.WantsGivenToken() && r.Version.Compare(Version{Year: 2026, Month: 5, Patch: 7}) <= 0
}

// WantsGivenToken tells whether a gateway refuses to start without a token, on
// loopback too ("Gateway auth is set to token, but no token is configured.", exit
// 1, measured on 2026.1.29; 2026.2.26 makes its own).
func (r Release) WantsGivenToken() bool {
	return r.Known && r.Version.Compare(Version{Year: 2026, Month: 2, Patch: 26}) < 0
}
