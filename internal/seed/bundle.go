package seed

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
)

// Bundle is what a client needs: a folder with its key, its device token and
// the variables that a CLI or an agent reads. JSON-era CLIs take the folder as
// their state folder.
type Bundle struct {
	Dir      string
	Identity identity.Identity
}

// BundlesDir is where bundles go unless told otherwise.
func BundlesDir(stateDir string) string { return filepath.Join(Dir(stateDir), "clients") }

// OpenBundle finds a client's bundle below dir, or begins one with a new key.
func OpenBundle(dir, name string) (Bundle, error) {
	bundle := Bundle{Dir: filepath.Join(dir, name)}
	if err := makeFolders(dir, bundle.Dir); err != nil {
		return Bundle{}, err
	}
	path := identity.FilePath(bundle.Dir)
	id, err := identity.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		err = bundle.Locked(func() (err error) {
			if id, err = identity.Load(path); !errors.Is(err, fs.ErrNotExist) {
				return err // somebody else was quicker
			}
			if id, err = identity.New(time.Now()); err != nil {
				return err
			}
			return id.Store(path)
		})
	}
	bundle.Identity = id
	return bundle, err
}

// makeFolders makes the bundles' folder, if need be with its parents, and those
// in it.
func makeFolders(dir string, inside ...string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return &StoreError{Path: dir, Err: err}
	}
	for _, folder := range append([]string{dir}, inside...) {
		if err := atomicfile.MakeDir(folder); err != nil {
			return &StoreError{Path: folder, Err: err}
		}
	}
	return nil
}

// ClaimBundle keeps a client to one join at a time: two would ask with one key,
// and each might end the other's token. It locks the key's folder, which it
// makes if need be; nobody who seeds waits for that, for a join may wait for the
// very gateway that is about to be seeded.
func ClaimBundle(ctx context.Context, dir, name string, timeout time.Duration) (*atomicfile.Lock, error) {
	bundle := filepath.Join(dir, name)
	keys := filepath.Dir(identity.FilePath(bundle))
	if err := makeFolders(dir, bundle, keys); err != nil {
		return nil, err
	}
	return lockFolder(ctx, keys, timeout)
}

// writePatience is how long another writer of a bundle may take: it has a few
// small files to write, and asks nobody meanwhile.
const writePatience = 30 * time.Second

// Locked does something while no other bootstrap writes into the bundle, in this
// process or in another. Where nothing is to be written it need not be called: who
// was given a bundle to read could lock it, too, and keep a gateway from starting.
func (b Bundle) Locked(do func() error) error {
	lock, err := lockFolder(context.Background(), b.Dir, writePatience)
	if err != nil {
		return err
	}
	return errors.Join(do(), lock.Release())
}

func lockFolder(ctx context.Context, path string, timeout time.Duration) (*atomicfile.Lock, error) {
	lock, err := atomicfile.AcquireFolder(ctx, path, timeout)
	if err == nil || errors.As(err, new(*atomicfile.LockedError)) {
		return lock, err
	}
	return nil, &StoreError{Path: path, Err: err}
}

// ReadBundle finds a client's bundle below dir; its identity is zero where there
// is none. It writes nothing.
func ReadBundle(dir, name string) (Bundle, error) {
	bundle := Bundle{Dir: filepath.Join(dir, name)}
	id, err := identity.Load(identity.FilePath(bundle.Dir))
	if errors.Is(err, fs.ErrNotExist) {
		return bundle, nil
	}
	bundle.Identity = id
	return bundle, err
}

// Credentials are what the client has to show; without a token before
// [Bundle.Finish].
func (b Bundle) Credentials() (Credentials, error) {
	token, scopes, err := (&jsonStore{stateDir: b.Dir}).localToken(context.Background(), b.Identity.DeviceID())
	return Credentials{Identity: b.Identity, Token: token, Scopes: scopes}, err
}

// Finish writes the device token that the store holds for the client, and the
// variables. The gateway's own token is never in a bundle.
func (b Bundle) Finish(result Result, gatewayURL string) error {
	variables := []variable{
		{
			name: "OPENCLAW_GATEWAY_URL", value: gatewayURL,
			comment: "# Client " + result.Name + ": read by a shell (set -a; . ./env) or by docker --env-file.",
		},
		{name: "OPENCLAW_GATEWAY_TOKEN", value: result.Token, comment: "# This is the device's own token, not the gateway's."},
	}
	file, err := readTokenFile(b.Dir, result.DeviceID)
	if err != nil {
		return err
	}
	changed, err := b.withVariables(variables)
	if err != nil || changed == nil && file.says(result.Token, result.Scopes) {
		return err
	}
	return b.Locked(func() error {
		if err := keepTokenFile(b.Dir, result.DeviceID, result.Token, result.Scopes); err != nil {
			return err
		}
		return b.setVariables(variables)
	})
}
