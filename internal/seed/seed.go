// Package seed owns pairing without a human: it decides which store the
// gateway will read, adds operator devices to it, and remembers in a ledger
// what it added. Everything that is not ours (other devices, unknown fields
// and columns) is kept byte for byte.
//
// It never creates the gateway's database, never removes a pairing, and never
// replaces a store that it cannot read.
package seed

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
)

// Device is one operator device that shall be paired.
type Device struct {
	// Name says to people and in the ledger which device this is.
	Name      string
	PublicKey ed25519.PublicKey
	Scopes    []string
	// Local: this is the state folder's own device, whose token the CLI in this
	// folder keeps too.
	Local bool
}

// Outcome is what seeding did with one device.
type Outcome string

// The outcomes.
const (
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged"
	// Revoked: somebody removed the device, or its token, from this very store.
	Revoked Outcome = "revoked"
)

// Result tells about one device. Token is a secret.
type Result struct {
	Name     string
	DeviceID string
	Outcome  Outcome
	// Changes names the fields that were written.
	Changes []string
	// Scopes that the device now has, and those among them that nobody asked for.
	Scopes, Wider []string
	Token         string
}

// Options say which store to open, and how.
type Options struct {
	StateDir string
	// Era is what the installed release reads; the zero value where unknown.
	Era         gateway.Era
	LockTimeout time.Duration
}

// Session is a lock on a state folder, the store that its gateway reads, and
// the ledger. No two bootstraps have one on the same folder at once.
type Session struct {
	options Options
	lock    *atomicfile.Lock
	store   store
	ledger  *ledger
}

// Dir is the folder for bootstrap's own files in a state folder.
func Dir(stateDir string) string { return filepath.Join(stateDir, "bootstrap") }

// Open locks the state folder and finds out which store counts. It fails with
// a [StoreError], an [identity.Error] or an [atomicfile.LockedError].
func Open(ctx context.Context, options Options) (*Session, error) {
	if err := prepare(options.StateDir); err != nil {
		return nil, &StoreError{Path: options.StateDir, Err: err}
	}
	lock, err := atomicfile.Acquire(ctx, filepath.Join(Dir(options.StateDir), "lock"), options.LockTimeout)
	if locked := (*atomicfile.LockedError)(nil); errors.As(err, &locked) {
		return nil, err
	}
	if err != nil {
		return nil, &StoreError{Path: Dir(options.StateDir), Err: err}
	}
	session := &Session{options: options, lock: lock}
	if session.ledger, err = readLedger(options.StateDir); err == nil {
		session.store, err = openStore(ctx, options)
	}
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	return session, nil
}

// prepare makes the state folder, if need be with its parents, and our own
// folder in it.
func prepare(stateDir string) error {
	if _, err := os.Lstat(stateDir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(stateDir, 0o700); err != nil {
			return err
		}
	}
	return atomicfile.MakeDir(Dir(stateDir))
}

// Close lets the store and the lock go.
func (s *Session) Close() error { return errors.Join(s.store.close(), s.lock.Release()) }

// Store tells which store counts here.
func (s *Session) Store() Info { return Info{Kind: s.store.kind(), Path: s.store.path()} }

// Self returns the state folder's own device. Where there is none yet it
// becomes imported, or a new one where imported is zero. An imported identity
// that differs from the present one is an error: nothing is replaced.
func (s *Session) Self(ctx context.Context, imported identity.Identity) (id identity.Identity, created bool, err error) {
	id, err = s.store.identity(ctx)
	if err != nil {
		return identity.Identity{}, false, err
	}
	if id.IsZero() {
		id, created = imported, true
	}
	if id.IsZero() {
		if id, err = identity.New(time.Now()); err != nil {
			return identity.Identity{}, false, err
		}
	}
	// The store has the last word: a gateway may be quicker.
	if id, err = s.store.keepIdentity(ctx, id); err != nil {
		return identity.Identity{}, false, err
	}
	if !imported.IsZero() && !imported.Equal(id) {
		return identity.Identity{}, false, &identity.Error{
			Path:  s.store.path(),
			Fault: fmt.Sprintf("the imported device %s is not the device %s that is here", short(imported.DeviceID()), short(id.DeviceID())),
		}
	}
	return id, created, nil
}

// Credentials are what the CLI in a state folder, or in a client's bundle, has
// to show: its device, and the device token with its scopes. Token is a secret.
type Credentials struct {
	Identity identity.Identity
	Token    string
	Scopes   []string
}

// ReadCredentials reads them, as far as they are there. It takes no lock and
// writes nothing.
func ReadCredentials(ctx context.Context, options Options) (Credentials, error) {
	opened, err := openStore(ctx, options)
	if err != nil {
		return Credentials{}, err
	}
	credentials := Credentials{}
	credentials.Identity, err = opened.identity(ctx)
	if err == nil && !credentials.Identity.IsZero() {
		credentials.Token, credentials.Scopes, err = opened.localToken(ctx, credentials.Identity.DeviceID())
	}
	return credentials, errors.Join(err, opened.close())
}

// Pair makes sure that each device is in the store, and in the ledger. Devices
// that were removed by somebody stay removed.
func (s *Session) Pair(ctx context.Context, devices ...Device) ([]Result, error) {
	for range maxDecisions {
		results, err := s.pair(ctx, devices)
		if err != nil {
			return nil, err
		}
		moved, err := s.moved(ctx)
		if err != nil {
			return nil, err
		}
		if !moved {
			return results, s.ledger.write()
		}
	}
	return nil, &StoreError{Path: s.store.path(), Err: errors.New("the store changed its kind again and again while it was written")}
}

// maxDecisions: a gateway changes from files to database once.
const maxDecisions = 3

// moved decides anew which store counts: a gateway's first boot may have
// imported the files while they were written. It then opens the other store.
func (s *Session) moved(ctx context.Context) (bool, error) {
	if s.store.kind() == SQLite {
		return false, nil // a gateway never goes back to files
	}
	now, err := openStore(ctx, s.options)
	if err != nil {
		return false, err
	}
	if now.kind() == s.store.kind() {
		return false, now.close()
	}
	before := s.store
	s.store = now
	return true, before.close()
}

// pair does one round against the store as it is now.
func (s *Session) pair(ctx context.Context, devices []Device) ([]Result, error) {
	mark, err := s.store.mark(ctx)
	if err != nil {
		return nil, err
	}
	present, err := s.store.lookup(ctx, ids(devices))
	if err != nil {
		return nil, err
	}
	results := make([]Result, len(devices))
	due := map[string]Device{}
	for i, device := range devices {
		id := identity.DeviceID(device.PublicKey)
		results[i] = Result{Name: device.Name, DeviceID: id, Outcome: Unchanged}
		entry, found := present[id]
		switch {
		case s.ledger.revoked(id, found, s.store.kind(), mark), found && entry.tokenRevoked():
			results[i].Outcome = Revoked
		case !found:
			results[i].Outcome = Created
			due[id] = device
		case entry.lacks(device):
			results[i].Outcome = Updated
			due[id] = device
		}
	}
	if present, err = s.write(ctx, due, present, results); err != nil {
		return nil, err
	}
	return results, s.settle(ctx, devices, present, results)
}

// write merges the devices that are due, and returns the entries as they are
// in the store afterwards.
func (s *Session) write(ctx context.Context, due map[string]Device, present map[string]entry, results []Result) (map[string]entry, error) {
	if len(due) == 0 {
		return present, nil
	}
	written := map[string]entry{}
	changes := map[string][]string{}
	err := s.store.update(ctx, due, func(e *entry, device Device) {
		id := identity.DeviceID(device.PublicKey)
		changes[id] = e.merge(device, time.Now())
		written[id] = *e
	})
	if err != nil {
		return nil, err
	}
	for i := range results {
		results[i].Changes = changes[results[i].DeviceID]
	}
	for id, e := range present {
		if _, ok := written[id]; !ok {
			written[id] = e
		}
	}
	return written, nil
}

// settle fills in the results, keeps the local token in step and takes the
// devices into the ledger.
func (s *Session) settle(ctx context.Context, devices []Device, present map[string]entry, results []Result) error {
	mark, err := s.store.mark(ctx)
	if err != nil {
		return err
	}
	for i, device := range devices {
		result := &results[i]
		if result.Outcome == Revoked {
			continue
		}
		e := present[result.DeviceID]
		result.Scopes, result.Token = e.scopes(), e.token()
		result.Wider = missing(device.Scopes, result.Scopes)
		if device.Local {
			if err := s.store.keepLocalToken(ctx, result.DeviceID, e); err != nil {
				return err
			}
		}
		s.ledger.record(device, result.DeviceID, result.Outcome, s.store.kind(), mark)
	}
	return nil
}

// Confirm records that the devices were seen in the store that counts now,
// after the gateway has used it: from here on, their absence is a revocation.
func (s *Session) Confirm(ctx context.Context, devices ...Device) error {
	_, err := s.Pair(ctx, devices...)
	return err
}

func ids(devices []Device) []string {
	out := make([]string, len(devices))
	for i, device := range devices {
		out[i] = identity.DeviceID(device.PublicKey)
	}
	return out
}

func publicKey(device Device) string { return base64.RawURLEncoding.EncodeToString(device.PublicKey) }

// short is enough of a device id for a person to tell devices apart.
func short(deviceID string) string { return deviceID[:min(12, len(deviceID))] }
