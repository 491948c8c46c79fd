package settings

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
)

// Handover is how the gateway is started.
type Handover string

const (
	Auto      Handover = "auto"
	Exec      Handover = "exec"
	Supervise Handover = "supervise"
)

// LogFormat is the form of the messages on stderr.
type LogFormat string

const (
	FormatAuto    LogFormat = "auto"
	FormatConsole LogFormat = "console"
	FormatJSON    LogFormat = "json"
)

// HookFailure is what becomes of a start whose hook fails.
type HookFailure string

const (
	StopOnFailure HookFailure = "stop"
	WarnOnFailure HookFailure = "warn"
)

// HookRepeat is how often a hook runs that waits for the proof.
type HookRepeat string

const (
	Once   HookRepeat = "once"
	Always HookRepeat = "always"
)

// Preset names a set of scopes; see [seed.Scopes].
type Preset string

func (p *Preset) UnmarshalText(text []byte) error {
	_, err := seed.Scopes(string(text), gateway.Release{})
	*p = Preset(text)
	return err
}

// Secret is key material. It never prints itself.
type Secret string

func (s Secret) String() string { return "(secret)" }

// Scopes is a list of operator scopes.
type Scopes []string

// UnmarshalText reads scopes with commas between them.
func (s *Scopes) UnmarshalText(text []byte) error {
	for _, scope := range splitList(string(text)) {
		if err := seed.CheckScope(scope); err != nil {
			return err
		}
		*s = append(*s, scope)
	}
	return nil
}

// Client is one more device to pair.
type Client struct {
	Name   string
	Preset string
	// Scopes instead of the preset's, where there are any.
	Scopes []string
	// PublicKey of a client that keeps its secret to itself; empty where the
	// key is to be made, in a bundle. As [identity.ParsePublicKey] reads it.
	PublicKey string
}

type Clients []Client

// UnmarshalText reads NAME[:PRESET][=KEY] with commas between them.
func (c *Clients) UnmarshalText(text []byte) error {
	var problems []error
	for _, item := range splitList(string(text)) {
		client, err := parseClient(item)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		*c = append(*c, client)
	}
	if len(problems) == 0 {
		return nil
	}
	// One line, and nothing to unwrap: every problem is listed.
	return errors.New(strings.ReplaceAll(errors.Join(problems...).Error(), "\n", "; "))
}

// defaultPreset is what a client may do by default: never more than read and
// write.
const defaultPreset = "standard"

func parseClient(item string) (Client, error) {
	head, key, keyGiven := strings.Cut(item, "=")
	name, preset, given := strings.Cut(head, ":")
	if !given {
		preset = defaultPreset
	}
	if keyGiven && key == "" {
		return Client{}, fmt.Errorf("client %s: no public key follows the =; leave it out to have a key made", name)
	}
	if !given && !keyGiven && isScopeWord(name) {
		return Client{}, fmt.Errorf("%q is a word for scopes, not a client: each client has one preset, as in agent-1:standard, which has read and write;"+
			" several scopes go into --manifest; a client that is really called so is %s:%s", name, name, preset)
	}
	client := Client{Name: name, Preset: preset, PublicKey: key}
	return client, client.check()
}

// isScopeWord says that a word is a preset, or a scope with or without its
// "operator.": the second one of agent-1:read,write would be paired as a device.
func isScopeWord(word string) bool {
	return slices.Contains(seed.Presets(), word) || strings.HasPrefix(word, "operator.") ||
		slices.Contains(gateway.Release{}.KnownScopes(), "operator."+word)
}

func (c Client) check() error {
	switch {
	case !seed.ValidName(c.Name):
		return fmt.Errorf("%q is not a client's name: letters, digits, dot, dash and underscore", c.Name)
	case c.Name == seed.SelfName:
		return errors.New(`"self" is the state directory's own device: set its scopes with --preset`)
	}
	if _, err := seed.Scopes(c.Preset, gateway.Release{}); err != nil {
		return fmt.Errorf("client %s: %w", c.Name, err)
	}
	if c.PublicKey != "" {
		if _, err := identity.ParsePublicKey(c.PublicKey); err != nil {
			return fmt.Errorf("client %s: %w", c.Name, err)
		}
	}
	return nil
}

// WantedScopes are the client's scopes, spelt out for a release.
func (c Client) WantedScopes(release gateway.Release) []string {
	if len(c.Scopes) > 0 {
		return c.Scopes
	}
	scopes, _ := seed.Scopes(c.Preset, release) // checked when it was read
	return scopes
}

// Fingerprint is the SHA-256 of a certificate, in hex.
type Fingerprint string

// UnmarshalText checks that it can be one.
func (f *Fingerprint) UnmarshalText(text []byte) error {
	_, err := protocol.ParseFingerprint(string(text))
	*f = Fingerprint(text)
	return err
}

// Address is where to listen: HOST:PORT.
type Address string

// UnmarshalText reads HOST:PORT, :PORT or PORT; the latter two are loopback.
func (a *Address) UnmarshalText(text []byte) error {
	host, port, err := net.SplitHostPort(string(text))
	if err != nil {
		host, port = "", string(text)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("%q is not HOST:PORT", text)
	}
	*a = Address(net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port))
	return nil
}

// UserSpec is a user as people write one: NAME, UID, NAME:GROUP or UID:GID.
type UserSpec string

// UnmarshalText checks the form only; whether there is such a user is asked
// when it is needed.
func (u *UserSpec) UnmarshalText(text []byte) error {
	name, group, given := strings.Cut(string(text), ":")
	if name == "" || (given && group == "") || strings.ContainsAny(string(text), " \t\n/") || strings.Contains(group, ":") {
		return fmt.Errorf("%q is not a user: NAME or UID, with :GID if need be", text)
	}
	*u = UserSpec(text)
	return nil
}

// splitList splits at commas and drops what is empty.
func splitList(text string) []string {
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}
