package bridge

import (
	"cmp"
	"errors"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// maxClientFile bounds the small files of a bundle, in bytes.
const maxClientFile = 64 << 10

// client is a client of the bridge: what its bundle holds at this moment.
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
	// missing is why there is nothing to speak with: no key, or no device token.
	// The rest of the client is not filled in then.
	missing *refusal
}

// refusal is why the bridge does not let a client in. Its reason goes to the
// client and into the log, hint and cause into the log alone.
type refusal struct {
	reason, hint string
	cause        error
}

func (r *refusal) Error() string { return r.reason }

// readClient reads a bundle anew for each connection, so that a rotated token
// counts at once.
func readClient(options Options, name string) (client, error) {
	if name == seed.SelfName {
		// An administrator: run makes that bundle where it cannot read the database.
		return client{}, &refusal{reason: "self is the gateway's own operator, and no client", hint: "bootstrap seed --client NAME"}
	}
	bundle, err := seed.ReadBundle(options.BundleDir, name)
	if err != nil {
		return client{}, unusable(name, err)
	}
	c := client{name: name}
	if c.bridgeToken, err = wantedToken(options, bundle); err != nil {
		return client{}, unusable(name, err)
	}
	command := "bootstrap seed --client " + name
	if bundle.Identity.IsZero() {
		c.missing = &refusal{reason: "unknown client " + name + ": " + command, hint: command}
		return c, nil
	}
	credentials, err := bundle.Credentials()
	if err != nil {
		return client{}, unusable(name, err)
	}
	if credentials.Token == "" {
		c.missing = &refusal{reason: notPaired(name, command), hint: command}
		return c, nil
	}
	c.identity, c.token, c.scopes = credentials.Identity, credentials.Token, credentials.Scopes
	kind, err := bundle.Kind()
	if err != nil {
		return client{}, unusable(name, err)
	}
	c.platform, c.id, c.mode = cmp.Or(kind.Platform, "linux"), cmp.Or(kind.ID, "cli"), cmp.Or(kind.Mode, "cli")
	c.family = kind.Family
	return c, nil
}

// wantedToken is what a client has to show: its own token, else everybody's. It is
// never empty where each client is to have its own: that would let in anybody.
func wantedToken(options Options, bundle seed.Bundle) (string, error) {
	own, err := Token(bundle)
	if own != "" || err != nil {
		return own, err
	}
	if !options.OwnTokens || bundle.Identity.IsZero() {
		return options.Token, nil // without a key nobody is let in
	}
	if err := MakeToken(bundle); err != nil {
		return "", err
	}
	if own, err = Token(bundle); own == "" && err == nil {
		err = errors.New("cannot use " + tokenPath(bundle.Dir) + ": it is gone again")
	}
	return own, err
}

// unusable tells the client little and the log all.
func unusable(name string, err error) error {
	r := &refusal{reason: "the bundle of client " + name + " cannot be used; the bridge's log says why", cause: err}
	if hinter := (interface{ Hint() string })(nil); errors.As(err, &hinter) {
		r.hint = hinter.Hint()
	}
	return r
}
