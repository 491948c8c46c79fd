package seed

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// ClientKind is how a client describes itself to the gateway, which holds it to the
// platform and the device family of its first connect. Empty parts are not
// recorded, and the bridge and "join" then say linux, nothing, cli and cli.
type ClientKind struct{ Platform, Family, ID, Mode string }

// Check refuses what cannot be written in a file that shells and docker --env-file
// read alike: neither of them would take quotes off.
func (k ClientKind) Check() error {
	for _, v := range k.variables() {
		if v.value != "" && !kindPattern().MatchString(v.value) {
			return fmt.Errorf("%q has to be letters, digits and ._:/@+- alone, 64 at most", v.value)
		}
	}
	return nil
}

func kindPattern() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9._:/@+-]{1,64}$`) }

func (k ClientKind) variables() []variable {
	return []variable{
		{name: "BOOTSTRAP_CLIENT_PLATFORM", value: k.Platform},
		{name: "BOOTSTRAP_CLIENT_FAMILY", value: k.Family},
		{name: "BOOTSTRAP_CLIENT_ID", value: k.ID},
		{name: "BOOTSTRAP_CLIENT_MODE", value: k.Mode},
	}
}

// Kind is what the bundle records; zero where there is no bundle.
func (b Bundle) Kind() (ClientKind, error) {
	lines, err := getAsOwner(b.Dir, b.envLines)
	known := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		known[name], _ = shell.Unquote(value)
	}
	return ClientKind{
		Platform: known["BOOTSTRAP_CLIENT_PLATFORM"], Family: known["BOOTSTRAP_CLIENT_FAMILY"],
		ID: known["BOOTSTRAP_CLIENT_ID"], Mode: known["BOOTSTRAP_CLIENT_MODE"],
	}, err
}

// Describe records how the client describes itself. What is empty stays as it is.
func (b Bundle) Describe(kind ClientKind) error {
	given := slices.DeleteFunc(kind.variables(), func(v variable) bool { return v.value == "" })
	if len(given) == 0 {
		return nil
	}
	if err := kind.Check(); err != nil {
		return &StoreError{Path: b.envPath(), Err: err}
	}
	return asOwner(b.Dir, func() error {
		changed, err := b.withVariables(given)
		if err != nil || changed == nil {
			return err
		}
		return b.locked(func() error { return b.setVariables(given) })
	})
}

// variable is a line of the env file. The comment precedes the line; it comes
// with it, and where it is one of ours that is not true any more, it goes.
type variable struct {
	name, value, comment string
	untrue               string // a comment that must not be there
}

func (b Bundle) envPath() string { return filepath.Join(b.Dir, "env") }

func (b Bundle) envLines() ([]string, error) {
	data, err := atomicfile.Read(b.envPath(), maxLocalSize)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(data) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, &StoreError{Path: b.envPath(), Err: err}
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"), nil
}

// withVariables is the env file with variables that have these values; nil where
// it says so already. Other lines, which somebody may have added by hand, stay as
// they are and where they are.
func (b Bundle) withVariables(wanted []variable) ([]byte, error) {
	present, err := b.envLines()
	if err != nil {
		return nil, err
	}
	lines := slices.Clone(present)
	for _, v := range wanted {
		lines = slices.DeleteFunc(lines, func(line string) bool { return v.untrue != "" && line == v.untrue })
		lines = v.putInto(lines)
	}
	if slices.Equal(lines, present) {
		return nil, nil
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

func (v variable) putInto(lines []string) []string {
	assigns := func(line string) bool { return strings.HasPrefix(line, v.name+"=") }
	at := slices.IndexFunc(lines, assigns)
	said := v.comment == "" || slices.Contains(lines, v.comment)
	switch {
	case at >= 0:
		lines[at] = shell.Assign(v.name, v.value)
		if !said && isAbout(v.comment) {
			lines = slices.Insert(lines, at, v.comment)
		}
		return lines
	case !said:
		lines = append(lines, v.comment)
	}
	return append(lines, shell.Assign(v.name, v.value))
}

// isAbout tells a comment that says which of two things the next line is.
func isAbout(comment string) bool { return comment == aboutToken || comment == aboutBridge }

// setVariables writes the env file where it has to change. The caller has the
// bundle locked.
func (b Bundle) setVariables(wanted []variable) error {
	changed, err := b.withVariables(wanted)
	if err != nil || changed == nil {
		return err
	}
	return Unusable(b.envPath(), atomicfile.Replace(b.envPath(), changed))
}
