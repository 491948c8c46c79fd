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
)

// ClientKind is how a client describes itself to the gateway, which holds it to the
// platform and the device family of its first connect. Empty parts are not
// recorded, and the bridge and "join" then say linux, nothing, cli and cli.
type ClientKind struct{ Platform, Family, ID, Mode string }

// Check refuses what cannot stand in a file that shells and docker --env-file
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
	lines, err := b.envLines()
	known := map[string]string{}
	for _, line := range lines {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		known[name] = value
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
	changed, err := b.withVariables(given)
	if err != nil || changed == nil {
		return err
	}
	return b.Locked(func() error { return b.setVariables(given) })
}

// variable is a line of the env file. The comment is put before it where the line
// is a new one.
type variable struct{ name, value, comment string }

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
		line := v.name + "=" + v.value
		if i := slices.IndexFunc(lines, func(line string) bool { return strings.HasPrefix(line, v.name+"=") }); i >= 0 {
			lines[i] = line
			continue
		}
		if v.comment != "" {
			lines = append(lines, v.comment)
		}
		lines = append(lines, line)
	}
	if slices.Equal(lines, present) {
		return nil, nil
	}
	return []byte(strings.Join(lines, "\n") + "\n"), nil
}

// setVariables writes the env file where it has to change. The caller has the
// bundle locked.
func (b Bundle) setVariables(wanted []variable) error {
	changed, err := b.withVariables(wanted)
	if err != nil || changed == nil {
		return err
	}
	if err := atomicfile.Replace(b.envPath(), changed); err != nil {
		return &StoreError{Path: b.envPath(), Err: err}
	}
	return nil
}
