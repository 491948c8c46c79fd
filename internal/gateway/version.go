package gateway

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

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
