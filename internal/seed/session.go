// Package seed owns pairing without a human: it decides which store the
// gateway will read, adds operator devices to it, and remembers in a ledger
// what it added. Everything that is not ours (other devices, unknown fields
// and columns) is kept byte for byte.
//
// It never creates the gateway's database, removes only what it added and only
// when it is asked to, and never replaces a store that it cannot read.
package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
)

// Options say which store to open, and how.
type Options struct {
	StateDir string
	// Era is what the installed release reads; the zero value where unknown.
	Era         gateway.Era
	LockTimeout time.Duration
	// Live, if set, says that a gateway serves this state directory meanwhile: it
	// connects to it with a device of ours, so that the gateway cannot overwrite the change.
	Live Connect
	// Log gets what a person should know while it lasts; the zero value writes
	// nothing.
	Log zerolog.Logger
	// Booting, if set, tells whether a gateway boots on this state directory, and which
	// process that is; see [AwaitBoot].
	Booting func(context.Context) (pid int, boots bool)
	// Hasty: a gateway that boots is not waited for, but a [*BootingError].
	Hasty bool
	// Stage: the gateway reads no pairing files and makes its database when it
	// starts, so entries wait until then. See [Staged].
	Stage bool
	// Withdraw: it also complains about pairing files that are there already.
	Withdraw bool
	// Adopt: with [Options.Stage], the state directory's own device is the one that the
	// gateway makes in its database. A file with a key makes that gateway's first boot
	// run its migration of identities, some two seconds of eight (2026.9.6).
	Adopt bool
}

// Session is a lock on a state directory, the store that its gateway reads, and
// the ledger. No two bootstraps have one on the same directory at once.
type Session struct {
	options Options
	lock    *atomicfile.Lock
	store   store
	ledger  *ledger
	// unsynced: directories were made, and their entries in the state directory may not be on
	// disk yet.
	unsynced bool
	// anew: the store was from before the seeding, and nobody has removed what it lacked.
	anew bool
}

// Dir is the directory for bootstrap's own files in a state directory.
func Dir(stateDir string) string { return filepath.Join(stateDir, "bootstrap") }

// LockPatience is how long to wait for the lock before logging that it is awaited.
const LockPatience = 2 * time.Second

// InSession opens a session, works in it and closes it; once more where a gateway
// has moved the store into its database meanwhile, which it does once, and again where
// one has begun to boot while the lock was waited for.
func InSession(ctx context.Context, options Options, work func(*Session) error) error {
	options = options.patient()
	for moved := false; ; {
		if err := AwaitBoot(ctx, options); err != nil { // and nobody waits for our lock meanwhile
			return err
		}
		session, err := Open(ctx, options)
		if err == nil {
			err = errors.Join(work(session), session.Close())
		}
		switch {
		case !options.Hasty && errors.As(err, new(*BootingError)): // waited for above
		case !moved && errors.Is(err, errMoved):
			moved = true
		default:
			return err
		}
	}
}

// Open locks the state directory and finds out which store counts. It fails with
// a [StoreError], an [identity.Error], an [atomicfile.LockedError] or a [BootingError].
func Open(ctx context.Context, options Options) (*Session, error) {
	options.Hasty = true // others wait for the lock
	waiting := time.AfterFunc(LockPatience, func() {
		options.Log.Info().Str("at_most", options.LockTimeout.String()).Msg("waiting for another bootstrap that has this state directory locked")
	})
	lock, made, err := lockUnsynced(ctx, options)
	waiting.Stop()
	if err != nil {
		return nil, err
	}
	session := &Session{options: options, lock: lock, unsynced: made}
	if err = AwaitBoot(ctx, options); err == nil {
		session.ledger, err = readLedger(options.StateDir)
	}
	if err == nil {
		session.store, err = openStore(ctx, options)
	}
	if err != nil {
		// Whoever comes after finds our directory made.
		if unsynced := session.sync(); unsynced != nil {
			err = unsynced
		}
		lock.Release()
		return nil, err
	}
	if err = session.clearLeftovers(); err == nil {
		err = session.withdraw(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, session.Close())
	}
	return session, nil
}

// Lock locks a state directory, which it makes if need be, and nothing more.
func Lock(ctx context.Context, options Options) (*atomicfile.Lock, error) {
	lock, made, err := lockUnsynced(ctx, options)
	if err == nil && made {
		if err = atomicfile.SyncDir(options.StateDir); err != nil {
			lock.Release()
			return nil, &StoreError{Path: options.StateDir, Err: err}
		}
	}
	return lock, err
}

// lockUnsynced is [Lock] for who syncs the state directory before anything counts on
// our own directory in it; made says that there was none.
func lockUnsynced(ctx context.Context, options Options) (lock *atomicfile.Lock, made bool, err error) {
	if made, err = prepare(options.StateDir); err != nil {
		return nil, made, &StoreError{Path: options.StateDir, Err: err}
	}
	lock, err = atomicfile.AcquireInFolder(ctx, filepath.Join(Dir(options.StateDir), "lock"), options.LockTimeout)
	if err == nil || errors.As(err, new(*atomicfile.LockedError)) {
		return lock, made, err
	}
	return nil, made, &StoreError{Path: Dir(options.StateDir), Err: err}
}

// prepare makes the state directory, if need be with its parents, and our own
// directory in it.
func prepare(stateDir string) (made bool, err error) {
	if _, err := os.Lstat(stateDir); errors.Is(err, fs.ErrNotExist) {
		if err := atomicfile.MakeDirs(stateDir); err != nil {
			return false, err
		}
	}
	return atomicfile.MakeDirUnsynced(Dir(stateDir))
}

// makeFolder makes a directory in the state directory, which [Session.sync] then syncs once
// for all of them.
func (s *Session) makeFolder(path string) error {
	made, err := atomicfile.MakeDirUnsynced(path)
	if err != nil {
		return &StoreError{Path: path, Err: err}
	}
	s.unsynced = s.unsynced || made
	return nil
}

// sync makes sure that what was made in the state directory is there on the disk.
func (s *Session) sync() error {
	if !s.unsynced {
		return nil
	}
	if err := atomicfile.SyncDir(s.options.StateDir); err != nil {
		return &StoreError{Path: s.options.StateDir, Err: err}
	}
	s.unsynced = false
	return nil
}

// Close lets the store and the lock go.
func (s *Session) Close() error {
	err := errors.Join(s.store.close(), s.check())
	s.lock.Release()
	return err
}

// check refuses to go on, or to speak of success, once the state directory is not the
// one that was locked: earlier writes would be in one directory and later ones in
// another. It also syncs the directories that later writes go into.
func (s *Session) check() error {
	if err := s.lock.Check(); err != nil {
		return &StoreError{Path: s.options.StateDir, Err: err, Fix: "let nobody move it meanwhile, and do it again: nothing is lost, and what is there already stays"}
	}
	return s.sync()
}

func (s *Session) keepLedger() error {
	if err := s.check(); err != nil {
		return err
	}
	return s.ledger.write()
}

// Store tells which store counts here.
func (s *Session) Store() Info { return infoOf(s.store) }

// OwnerLease reads the gateway's lease on this state directory; false where nobody
// holds one, or where the gateways of this store know none.
func (s *Session) OwnerLease(ctx context.Context) (Lease, bool, error) {
	database, ok := s.store.(*sqliteStore)
	if !ok {
		return Lease{}, false, nil
	}
	lease, held, err := database.db.OwnerLease(ctx)
	return lease, held, database.fail(err)
}

// Self returns the state directory's own device. Where there is none yet it
// becomes imported, or else known, or else a new one; with [Options.Adopt] it stays
// zero until the gateway has made one. An imported identity that differs from the
// present one is an error: nothing is replaced.
func (s *Session) Self(ctx context.Context, imported, known identity.Identity) (id identity.Identity, created bool, err error) {
	id, err = s.store.identity(ctx)
	if err != nil {
		return identity.Identity{}, false, err
	}
	if id.IsZero() {
		id, created = imported, true
	}
	if id.IsZero() {
		id = known
	}
	if id.IsZero() && s.options.Adopt && s.store.kind() == Staged {
		return identity.Identity{}, false, nil
	}
	if id.IsZero() {
		if id, err = identity.New(time.Now()); err != nil {
			return identity.Identity{}, false, err
		}
	}
	if files, isFiles := s.store.(*jsonStore); isFiles && created {
		if err := s.makeFolder(filepath.Dir(files.identityPath())); err != nil {
			return identity.Identity{}, false, err
		}
	}
	// The store has the last word: a gateway may be quicker.
	if id, err = s.store.keepIdentity(ctx, id); err != nil {
		return identity.Identity{}, false, err
	}
	if err := replaces(s.store, imported, id); err != nil {
		return identity.Identity{}, false, err
	}
	return id, created, nil
}

// replaces is the error about an imported identity that is not the one that is here.
func replaces(in store, imported, here identity.Identity) error {
	if imported.IsZero() || imported.Equal(here) {
		return nil
	}
	return &identity.Error{
		Path:  in.identityPath(),
		Fault: fmt.Sprintf("the imported device %s is not the device %s that is here", short(imported.DeviceID()), short(here.DeviceID())),
		Fix:   "leave the import out, or use an empty state directory",
	}
}

// PlanSelf is the device that [Session.Self] would return; zero where it would be a new
// one. It takes no lock and writes nothing, but see [statedb.Open].
func PlanSelf(ctx context.Context, options Options, imported identity.Identity) (identity.Identity, error) {
	return fromStore(ctx, options, func(from store) (identity.Identity, error) {
		credentials, err := credentialsOf(ctx, from) // its token has to be readable, too
		if err != nil || credentials.Identity.IsZero() {
			return imported, err
		}
		return credentials.Identity, replaces(from, imported, credentials.Identity)
	})
}

// Credentials are what the CLI in a state directory, or in a client's bundle, has
// to show: its device, and the device token with its scopes. Token is a secret.
type Credentials struct {
	Identity identity.Identity
	Token    string
	Scopes   []string
}

// ReadCredentials reads them, as far as they are there. It takes no lock and
// writes nothing, but see [statedb.Open].
func ReadCredentials(ctx context.Context, options Options) (Credentials, error) {
	return fromStore(ctx, options, func(from store) (Credentials, error) { return credentialsOf(ctx, from) })
}

func credentialsOf(ctx context.Context, from store) (credentials Credentials, err error) {
	credentials.Identity, err = from.identity(ctx)
	if err == nil && !credentials.Identity.IsZero() {
		credentials.Token, credentials.Scopes, err = from.localToken(ctx, credentials.Identity.DeviceID())
	}
	return credentials, err
}

// KeepCredentials gives the CLI in this state directory a device token to show, and
// pairs nothing: for a directory that is a client's.
func (s *Session) KeepCredentials(ctx context.Context, credentials Credentials) error {
	var token, tokens object
	token.set("token", credentials.Token)
	token.set("role", roleOperator)
	token.set("scopes", credentials.Scopes)
	tokens.set(roleOperator, token)
	var e entry
	e.set("tokens", tokens)
	return s.store.keepLocalToken(ctx, credentials.Identity.DeviceID(), e)
}
