package seed

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Bundle is what a client needs: a directory with its key, its device token and
// the variables that a CLI or an agent reads. JSON-era CLIs take the directory as
// their state directory.
type Bundle struct {
	Dir      string
	Identity identity.Identity
}

// BundlesDir is the default directory for bundles.
func BundlesDir(stateDir string) string { return filepath.Join(Dir(stateDir), "clients") }

// OpenBundle finds a client's bundle below dir, or begins one with a new key.
func OpenBundle(dir, name string) (Bundle, error) {
	return getAsOwner(filepath.Join(dir, name), func() (Bundle, error) { return openBundle(dir, name) })
}

func openBundle(dir, name string) (Bundle, error) {
	bundle := Bundle{Dir: filepath.Join(dir, name)}
	if err := makeFolders(dir, bundle.Dir); err != nil {
		return Bundle{}, err
	}
	err := bundle.load()
	if errors.Is(err, fs.ErrNotExist) {
		err = bundle.locked(func() (err error) {
			path := identity.FilePath(bundle.Dir)
			if bundle.Identity, err = identity.Load(path); !errors.Is(err, fs.ErrNotExist) {
				return err // somebody else was quicker
			}
			if bundle.Identity, err = identity.New(time.Now()); err != nil {
				return err
			}
			return bundle.Identity.Store(path)
		})
	}
	return bundle, err
}

// load reads the key of a bundle whose directory is there.
func (b *Bundle) load() (err error) {
	if err := b.clearLeftovers(); err != nil {
		return err
	}
	b.Identity, err = identity.Load(identity.FilePath(b.Dir))
	return err
}

// clearLeftovers removes what a killed run left of writing into the bundle. Where
// somebody has it locked, what is there may be about to be used: the next run sees.
func (b Bundle) clearLeftovers() error {
	paths := []string{
		filepath.Join(b.Dir, "env"), filepath.Join(b.Dir, "bridge-token"),
		identity.FilePath(b.Dir), filepath.Join(b.Dir, "identity", "device-auth.json"),
	}
	if !slices.ContainsFunc(paths, func(path string) bool { return atomicfile.Exists(atomicfile.Temporary(path)) }) {
		return nil
	}
	lock, err := lockFolder(context.Background(), b.Dir, 0)
	if errors.As(err, new(*atomicfile.LockedError)) {
		return nil
	}
	if err != nil {
		return err
	}
	defer lock.Release()
	return Unusable(b.Dir, atomicfile.Clear(paths...))
}

// makeFolders makes the bundles' directory, if need be with its parents, and those
// in it.
func makeFolders(dir string, inside ...string) error {
	if err := atomicfile.MakeDirs(dir); err != nil {
		return &StoreError{Path: dir, Err: err}
	}
	for _, directory := range inside {
		if err := atomicfile.MakeDir(directory); err != nil {
			return &StoreError{Path: directory, Err: err}
		}
	}
	return nil
}

// ClaimBundle keeps a client to one join at a time: two would ask with one key,
// and each might end the other's token. It locks the key's directory, which it
// makes if need be; nobody who seeds waits for that, for a join may wait for the
// very gateway that is about to be seeded.
func ClaimBundle(ctx context.Context, dir, name string, timeout time.Duration) (*atomicfile.Lock, error) {
	bundle := filepath.Join(dir, name)
	keys := filepath.Dir(identity.FilePath(bundle))
	return getAsOwner(bundle, func() (*atomicfile.Lock, error) {
		if err := makeFolders(dir, bundle, keys); err != nil {
			return nil, err
		}
		return lockFolder(ctx, keys, timeout)
	})
}

// writePatience is how long another writer of a bundle may take: it has a few
// small files to write, and asks nobody meanwhile.
const writePatience = 30 * time.Second

// Locked does something while no other bootstrap writes into the bundle, in this
// process or in another. Where nothing is to be written it need not be called: who
// was given a bundle to read could lock it, too, and keep a gateway from starting.
func (b Bundle) Locked(do func() error) error {
	return asOwner(b.Dir, func() error { return b.locked(do) })
}

func (b Bundle) locked(do func() error) error {
	lock, err := lockFolder(context.Background(), b.Dir, writePatience)
	if err != nil {
		return err
	}
	defer lock.Release()
	return do()
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
func ReadBundle(dir, name string) (Bundle, error) { return readBundle(asOwner, dir, name) }

// ReadBundles is [ReadBundle] for many clients, by their names.
func ReadBundles(dir string) func(name string) (Bundle, error) {
	in := folderAt(dir)
	return func(name string) (Bundle, error) { return readBundle(in.asOwner, dir, name) }
}

func readBundle(as func(dir string, do func() error) error, dir, name string) (Bundle, error) {
	bundle := Bundle{Dir: filepath.Join(dir, name)}
	err := as(bundle.Dir, func() (err error) {
		bundle.Identity, err = identity.Load(identity.FilePath(bundle.Dir))
		return err
	})
	if errors.Is(err, fs.ErrNotExist) {
		return bundle, nil
	}
	return bundle, err
}

// Credentials are what the client has to show; without a token before
// [Bundle.Finish].
func (b Bundle) Credentials() (Credentials, error) {
	credentials := Credentials{Identity: b.Identity}
	err := asOwner(b.Dir, func() (err error) {
		credentials.Token, credentials.Scopes, err = (&jsonStore{stateDir: b.Dir}).localToken(context.Background(), b.Identity.DeviceID())
		return err
	})
	return credentials, err
}

// Finish writes the device token that the store holds for the client, and the
// variables. The gateway's own token is never in a bundle. It refuses what nobody
// could mean: where it comes from may have been asked, and is asked again here.
func (b Bundle) Finish(result Result, gatewayURL string) error {
	finishing, err := b.Finishing(result, gatewayURL)
	if err != nil {
		return err
	}
	return finishing.write()
}

// NoToken is the placeholder where a client shows a token and a bridge asks for none; the bridge
// replaces it. Without any, reflectt-node takes the gateway for not configured (main
// 15c50d5: /health, /openclaw/status).
const NoToken = "none-the-bridge-signs"

// Finishing is what a bundle is to say; see [Finish].
type Finishing struct {
	bundle    Bundle
	result    Result
	variables []variable
}

// Finishing is what [Bundle.Finish] writes, for many of them: see [Finish].
func (b Bundle) Finishing(result Result, gatewayURL string) (Finishing, error) {
	return b.finishing(result, variable{value: gatewayURL, untrue: aboutBridge}, variable{value: result.Token, comment: aboutToken})
}

// FinishingBridged is [Bundle.Finishing] for a client that connects through a bridge:
// its variables lead there, and hold the bridge's token, or [NoToken] where that is empty.
func (b Bundle) FinishingBridged(result Result, bridgeURL, bridgeToken string) (Finishing, error) {
	url := strings.TrimSuffix(bridgeURL, "/") + "/" + result.Name
	return b.finishing(result, variable{value: url}, variable{value: cmp.Or(bridgeToken, NoToken), comment: aboutBridge, untrue: aboutToken})
}

func (b Bundle) finishing(result Result, url, token variable) (Finishing, error) {
	if !ValidName(result.Name) || !identity.IsToken(result.Token) || !identity.IsToken(token.value) || strings.ContainsFunc(url.value, unicode.IsControl) {
		return Finishing{}, &StoreError{Path: b.envPath(), Err: errors.New("a name, a URL or a token of this form is not written where a shell would read it")}
	}
	url.name, token.name = "OPENCLAW_GATEWAY_URL", "OPENCLAW_GATEWAY_TOKEN"
	url.comment = "# Client " + result.Name + ": read by a shell (set -a; . ./env) or by docker --env-file."
	return Finishing{b, result, []variable{url, token}}, nil
}

// Renewing is what a bundle is to say whose token is another one now: its variables lead
// where they led, and to gatewayURL where there are none.
func (b Bundle) Renewing(result Result, gatewayURL string) (Finishing, error) {
	lines, err := getAsOwner(b.Dir, b.envLines)
	if err != nil {
		return Finishing{}, err
	}
	for _, line := range lines {
		value, is := strings.CutPrefix(line, "OPENCLAW_GATEWAY_URL=")
		if url, ok := shell.Unquote(value); is && ok && url != "" && !strings.ContainsFunc(url, unicode.IsControl) {
			gatewayURL = url
			break
		}
	}
	finishing, err := b.Finishing(result, gatewayURL)
	if slices.Contains(lines, aboutBridge) {
		finishing.variables = nil // nothing of the device's is among them
	}
	return finishing, err
}

// What is said in env, beside the variables.
const (
	aboutToken  = "# This is the device's own token, not the gateway's."
	aboutBridge = "# The bridge signs for this client: bootstrap bridge."
)

// changes is what the token file and env are to hold; nil where they say so already.
func (f Finishing) changes() (token, env []byte, err error) {
	file, err := readTokenFile(f.bundle.Dir, f.result.DeviceID)
	if err != nil {
		return nil, nil, err
	}
	if !file.matches(f.result.Token, f.result.Scopes) {
		token = file.saying(f.result.DeviceID, f.result.Token, f.result.Scopes)
	}
	env, err = f.bundle.withVariables(f.variables)
	return token, env, err
}

func (f Finishing) write() error {
	return asOwner(f.bundle.Dir, func() error {
		token, env, err := f.changes()
		if err != nil || token == nil && env == nil {
			return err
		}
		return f.bundle.locked(func() error {
			if _, err := keepTokenFile(f.bundle.Dir, f.result.DeviceID, f.result.Token, f.result.Scopes); err != nil {
				return err
			}
			return f.bundle.setVariables(f.variables)
		})
	})
}
