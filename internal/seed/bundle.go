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
// The caller holds the state folder's lock.
func OpenBundle(dir, name string) (Bundle, error) {
	bundle := Bundle{Dir: filepath.Join(dir, name)}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return Bundle{}, &StoreError{Path: dir, Err: err}
	}
	for _, folder := range []string{dir, bundle.Dir} {
		if err := atomicfile.MakeDir(folder); err != nil {
			return Bundle{}, &StoreError{Path: folder, Err: err}
		}
	}
	path := identity.FilePath(bundle.Dir)
	id, err := identity.Load(path)
	if errors.Is(err, fs.ErrNotExist) {
		if id, err = identity.New(time.Now()); err == nil {
			err = id.Store(path)
		}
	}
	bundle.Identity = id
	return bundle, err
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
	if err := keepTokenFile(b.Dir, result.DeviceID, result.Token, result.Scopes); err != nil {
		return err
	}
	return b.setVariables([]variable{
		{
			name: "OPENCLAW_GATEWAY_URL", value: gatewayURL,
			comment: "# Client " + result.Name + ": read by a shell (set -a; . ./env) or by docker --env-file.",
		},
		{name: "OPENCLAW_GATEWAY_TOKEN", value: result.Token, comment: "# This is the device's own token, not the gateway's."},
	})
}
