package gateway

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
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

// ReadRelease reads the release from a package directory. No directory ("") and no
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
// directory holds outweighs it.
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

// HasOwnerLease tells whether the gateway keeps a lease on its state directory that
// a kill leaves behind (from 2026.9.5).
func (r Release) HasOwnerLease() bool { return r.Known && r.since(2026, 9, 5) }

// ImportsPairings tells whether a first boot takes devices/paired.json over into
// the database: 2026.8.1 to 2026.9.4 and 2026.9.6 do, 2026.9.5 leaves it alone and
// complains ("Legacy pairing stores require repair"). Later ones are not known.
func (r Release) ImportsPairings() bool {
	return !r.Known || r.Version.compareCore(Version{Year: 2026, Month: 9, Patch: 5}) != 0
}

// HasLinks tells whether the gateway takes one-time links for browsers (from 2026.8.1).
func (r Release) HasLinks() bool { return r.since(2026, 8, 1) }

// NeedsSecurePage tells whether the Control UI makes its key only where the browser
// has a secure context: on https and on localhost. Before 2026.8.1 it knows no other way than
// WebCrypto (2026.5.28 run; 2026.7.2-beta.4, 2026.7.35 and 2026.8.1 read).
func (r Release) NeedsSecurePage() bool { return !r.since(2026, 8, 1) }

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
// openclaw.json and continues, whatever it binds to (2026.5.7 and before; measured
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

// Version is a release number as OpenClaw uses them: 2026.9.6, a pre-release
// 2026.7.2-beta.4, or a correction 2026.7.1-2, which comes after 2026.7.1 (npm's
// own order would put it before).
type Version struct {
	Year, Month, Patch int
	Pre                []string // "beta", "4"; nil for a release
	Correction         int      // 2 in 2026.7.1-2
}

var prePart = pattern(`^[0-9A-Za-z-]+$`)

// ParseVersion reads a version, or says that it is none.
func ParseVersion(text string) (Version, error) {
	var v Version
	core, suffix, hasSuffix := strings.Cut(strings.TrimPrefix(strings.TrimSpace(text), "v"), "-")
	if !hasSuffix {
		core, _, _ = strings.Cut(core, "+")
	}
	suffix, _, _ = strings.Cut(suffix, "+")
	parts := strings.Split(core, ".")
	if len(parts) != 3 {
		return Version{}, fmt.Errorf("cannot read version %.40q: want three numbers", text)
	}
	for i, target := range []*int{&v.Year, &v.Month, &v.Patch} {
		number, err := versionNumber(parts[i])
		if err != nil {
			return Version{}, fmt.Errorf("cannot read version %.40q: %w", text, err)
		}
		*target = number
	}
	if !hasSuffix {
		return v, nil
	}
	if number, err := versionNumber(suffix); err == nil {
		v.Correction = number
		return v, nil
	}
	v.Pre = strings.Split(suffix, ".")
	for _, part := range v.Pre {
		if !prePart().MatchString(part) {
			return Version{}, fmt.Errorf("cannot read version %.40q: malformed suffix", text)
		}
	}
	return v, nil
}

func versionNumber(digits string) (int, error) {
	if digits == "" || len(digits) > 9 || strings.Trim(digits, "0123456789") != "" {
		return 0, fmt.Errorf("%.20q is no number", digits)
	}
	return strconv.Atoi(digits)
}

func (v Version) String() string {
	core := fmt.Sprintf("%d.%d.%d", v.Year, v.Month, v.Patch)
	switch {
	case v.Pre != nil:
		return core + "-" + strings.Join(v.Pre, ".")
	case v.Correction > 0:
		return core + "-" + strconv.Itoa(v.Correction)
	}
	return core
}

// Compare orders versions by number, never by date: backports such as 2026.7.33
// were published after 2026.8.1. It returns -1, 0 or 1.
func (v Version) Compare(other Version) int {
	return cmp.Or(
		v.compareCore(other),
		cmp.Compare(btoi(v.Pre == nil), btoi(other.Pre == nil)),
		slices.CompareFunc(v.Pre, other.Pre, comparePre),
		cmp.Compare(v.Correction, other.Correction),
	)
}

func (v Version) compareCore(other Version) int {
	return cmp.Or(cmp.Compare(v.Year, other.Year), cmp.Compare(v.Month, other.Month), cmp.Compare(v.Patch, other.Patch))
}

// comparePre follows semver: numbers by value and before words.
func comparePre(a, b string) int {
	x, errX := versionNumber(a)
	y, errY := versionNumber(b)
	switch {
	case errX == nil && errY == nil:
		return cmp.Compare(x, y)
	case errX == nil:
		return -1
	case errY == nil:
		return 1
	}
	return strings.Compare(a, b)
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

const packageName = "openclaw"

// maxParents bounds the walk from a script up to its package.json.
const maxParents = 12

// findPackage finds the directory of the openclaw package that a script or
// executable belongs to: through its symbolic links, then upwards. A shim in a
// node_modules/.bin directory (pnpm writes shell scripts there) belongs to the
// package beside it. "" means none.
func findPackage(file string) string {
	if file == "" {
		return ""
	}
	if real, err := filepath.EvalSymlinks(file); err == nil {
		if dir := packageAbove(filepath.Dir(real)); dir != "" {
			return dir
		}
	}
	shims := filepath.Dir(file)
	if filepath.Base(shims) != ".bin" {
		return ""
	}
	beside := filepath.Join(filepath.Dir(shims), packageName)
	if real, err := filepath.EvalSymlinks(beside); err == nil && isPackage(real) {
		return real
	}
	return ""
}

func packageAbove(dir string) string {
	for range maxParents {
		if found, err := readManifest(dir); err == nil && found.Name != "" {
			if found.Name == packageName {
				return dir
			}
			return "" // the file belongs to another package
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			break
		}
		dir = parent
	}
	return ""
}

func isPackage(dir string) bool {
	found, err := readManifest(dir)
	return err == nil && found.Name == packageName
}
