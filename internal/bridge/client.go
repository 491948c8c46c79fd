package bridge

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// minToken is the least length of a bridge token, in characters.
const minToken = 16

// maxClientFile bounds the small files of a bundle, in bytes.
const maxClientFile = 64 << 10

// client is whom the bridge speaks for: what the bundle holds at this moment.
type client struct {
	name     string
	identity identity.Identity
	token    string
	scopes   []string
	// platform, family, id and mode are pinned by the gateway at the first
	// connect: the same have to be sent ever after.
	platform, family, id, mode string
	// bridgeToken is what the client has to show; empty where nothing.
	bridgeToken string
}

// refusal is why the bridge does not let a client in. Its reason goes to the
// client and into the log, hint and cause into the log alone.
type refusal struct {
	reason, hint string
	cause        error
}

func (r *refusal) Error() string { return r.reason }

// readClient reads a bundle anew for each connection, so that a rotated token
// counts at once. fallback is the token of clients that have none of their own.
func readClient(dir, name, fallback string) (client, error) {
	bundle, err := seed.ReadBundle(dir, name)
	if err != nil {
		return client{}, unusable(name, err)
	}
	if bundle.Identity.IsZero() {
		return client{}, &refusal{reason: "unknown client " + name + ": bootstrap seed --client " + name, hint: "bootstrap seed --client " + name}
	}
	credentials, err := bundle.Credentials()
	if err != nil {
		return client{}, unusable(name, err)
	}
	if credentials.Token == "" {
		return client{}, &refusal{reason: "client " + name + " is not paired: bootstrap seed --client " + name, hint: "bootstrap seed --client " + name}
	}
	c := client{
		name: name, identity: credentials.Identity, token: credentials.Token, scopes: credentials.Scopes,
		platform: "linux", id: "cli", mode: "cli", bridgeToken: fallback,
	}
	if err := c.readEnv(filepath.Join(bundle.Dir, "env")); err != nil {
		return client{}, unusable(name, err)
	}
	if err := c.readToken(filepath.Join(bundle.Dir, "bridge-token")); err != nil {
		return client{}, unusable(name, err)
	}
	return c, nil
}

// unusable tells the client little and the log all.
func unusable(name string, err error) error {
	r := &refusal{reason: "the bundle of client " + name + " cannot be used; the bridge's log says why", cause: err}
	if hinter := (interface{ Hint() string })(nil); errors.As(err, &hinter) {
		r.hint = hinter.Hint()
	}
	return r
}

// readEnv reads how the client is described to the gateway, as far as its
// bundle records that.
func (c *client) readEnv(path string) error {
	data, err := atomicfile.Read(path, maxClientFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case value == "":
		case name == "BOOTSTRAP_CLIENT_PLATFORM":
			c.platform = value
		case name == "BOOTSTRAP_CLIENT_FAMILY":
			c.family = value
		case name == "BOOTSTRAP_CLIENT_ID":
			c.id = value
		case name == "BOOTSTRAP_CLIENT_MODE":
			c.mode = value
		}
	}
	return nil
}

// readToken takes the client's own bridge token, which then is the only one.
func (c *client) readToken(path string) error {
	data, err := atomicfile.Read(path, maxClientFile)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if c.bridgeToken = strings.TrimSpace(string(data)); len(c.bridgeToken) < minToken {
		return errors.New("cannot use " + path + ": a bridge token has at least 16 characters")
	}
	return nil
}

// takes tells whether a token that was shown is the one wanted.
func takes(wanted, shown string) bool {
	if wanted == "" {
		return true
	}
	a, b := sha256.Sum256([]byte(wanted)), sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
