package seed

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/rights"
	"github.com/reflectt/bootstrap/internal/shell"
)

const (
	// batchFrom is how many bundles are written together at least: each by itself
	// waits for the disk four times, and all of them wait twice, for whatever else is
	// to be written to that filesystem, too.
	batchFrom = 8
	// batchSize bounds how many are locked, and half done where a run is killed.
	batchSize = 128
)

// OpenBundles is [OpenBundle] for many clients, by their names.
func OpenBundles(dir string, names []string) (map[string]Bundle, error) {
	bundles := map[string]Bundle{}
	var missing []string
	in := folderAt(dir)
	if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
		names, missing = nil, slices.Clone(names)
	}
	for _, name := range names {
		bundle := Bundle{Dir: filepath.Join(dir, name)}
		err := in.asOwner(bundle.Dir, func() error {
			for _, folder := range []string{dir, bundle.Dir} {
				if err := atomicfile.CheckFolder(folder); err != nil {
					return Unusable(folder, err)
				}
			}
			return bundle.load()
		})
		switch {
		case errors.Is(err, fs.ErrNotExist):
			missing = append(missing, name)
		case err != nil:
			return nil, err
		default:
			bundles[name] = bundle
		}
	}
	slices.Sort(missing) // two who lock the same ones do so in one order
	for some := range slices.Chunk(missing, batchSize) {
		if err := beginBundles(in, some, bundles); err != nil {
			return nil, err
		}
	}
	return bundles, nil
}

// beginBundles makes some of the bundles, in one batch where they are many.
func beginBundles(in folder, names []string, bundles map[string]Bundle) (err error) {
	if len(names) < batchFrom {
		for _, name := range names {
			if bundles[name], err = OpenBundle(in.dir, name); err != nil {
				return err
			}
		}
		return nil
	}
	if err := asOwner(in.dir, func() error { return makeFolders(in.dir) }); err != nil {
		return err
	}
	in = folderAt(in.dir) // which may not have been there
	batch := atomicfile.NewBatch(in.dir)
	var locks locks
	defer locks.release()
	for _, name := range names {
		bundle := Bundle{Dir: filepath.Join(in.dir, name)}
		as := in.asOwnerOf(bundle.Dir)
		err := as(func() error { return locks.begin(&bundle, batch, as) })
		if err != nil {
			return errors.Join(err, batch.Abandon())
		}
		bundles[name] = bundle
	}
	return Unusable(in.dir, batch.Commit())
}

// locks are those of the bundles of one batch, until that is committed.
type locks struct{ held []*atomicfile.Lock }

func (l *locks) release() {
	for _, lock := range l.held {
		lock.Release()
	}
}

func (l *locks) take(dir string) error {
	lock, err := lockFolder(context.Background(), dir, writePatience)
	if err == nil {
		l.held = append(l.held, lock)
	}
	return err
}

// begin is [OpenBundle] for a batch.
func (l *locks) begin(bundle *Bundle, batch *atomicfile.Batch, as atomicfile.As) error {
	path := identity.FilePath(bundle.Dir)
	if err := batch.MakeDir(bundle.Dir, as); err != nil {
		return &StoreError{Path: bundle.Dir, Err: err}
	}
	if err := bundle.clearLeftovers(); err != nil {
		return err
	}
	if err := l.take(bundle.Dir); err != nil {
		return err
	}
	id, err := identity.Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		bundle.Identity = id
		return err // somebody else was quicker
	}
	if id, err = identity.New(time.Now()); err != nil {
		return err
	}
	bundle.Identity = id
	if err := batch.MakeDir(filepath.Dir(path), as); err != nil {
		return &identity.Error{Path: path, Fault: "its directory cannot be made", Err: err}
	}
	if err := batch.Create(path, id.Marshal(), as); err != nil {
		return &identity.Error{Path: path, Fault: "it cannot be written", Err: err}
	}
	return nil
}

// Finish is [Bundle.Finish] for many clients.
func Finish(all []Finishing) error {
	due := map[string]Finishing{}
	var in folder
	for _, finishing := range all {
		if dir := filepath.Dir(finishing.bundle.Dir); dir != in.dir {
			in = folderAt(dir)
		}
		var token, env []byte
		err := in.asOwner(finishing.bundle.Dir, func() (err error) {
			token, env, err = finishing.changes()
			return err
		})
		if err != nil {
			return err
		}
		if token != nil || env != nil {
			due[finishing.bundle.Dir] = finishing
		}
	}
	for dirs := range slices.Chunk(slices.Sorted(maps.Keys(due)), batchSize) {
		if err := finishSome(dirs, due); err != nil {
			return err
		}
	}
	return nil
}

func finishSome(dirs []string, due map[string]Finishing) error {
	if len(dirs) < batchFrom {
		for _, dir := range dirs {
			if err := due[dir].write(); err != nil {
				return err
			}
		}
		return nil
	}
	in := folderAt(filepath.Dir(dirs[0]))
	batch := atomicfile.NewBatch(in.dir)
	var locks locks
	defer locks.release()
	for _, bundle := range dirs {
		as := in.asOwnerOf(bundle)
		err := as(func() error { return locks.finish(due[bundle], batch, as) })
		if err != nil {
			return errors.Join(err, batch.Abandon())
		}
	}
	return Unusable(in.dir, batch.Commit())
}

// finish is [Finishing.write] for a batch.
func (l *locks) finish(f Finishing, batch *atomicfile.Batch, as atomicfile.As) error {
	if err := l.take(f.bundle.Dir); err != nil {
		return err
	}
	token, env, err := f.changes() // once more, now that nobody else writes
	if err != nil {
		return err
	}
	if token != nil {
		path := tokenPath(f.bundle.Dir)
		if err := batch.Replace(path, token, as); err != nil {
			return tokenFile{path: path}.fail(err)
		}
	}
	if env == nil {
		return nil
	}
	return Unusable(f.bundle.envPath(), batch.Replace(f.bundle.envPath(), env, as))
}

// asOwner does something in a bundle. As root, it does so with the rights of
// whoever decides what is at that path: a bundle may be on a client's volume,
// where the client can put a link on the way at any moment.
func asOwner(dir string, do func() error) error {
	if os.Geteuid() != 0 {
		return do()
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return &StoreError{Path: dir, Err: err}
	}
	owner, err := rights.OwnerOf(absolute, false)
	if fault := (*rights.OwnerError)(nil); errors.As(err, &fault) {
		return &StoreError{Path: dir, Err: errors.New(fault.Reason), Fix: fault.Hint()}
	}
	if err != nil {
		return &StoreError{Path: dir, Err: err}
	}
	err = rights.As(owner, do)
	if owner.UID == 0 || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &StoreError{
		Path: dir, Err: fmt.Errorf("it is written with the rights of uid %d, who could replace it: %v", owner.UID, err), //nolint:errorlint // its hint would be about root's rights
		Fix: fmt.Sprintf("let that user reach and write it (as root: chown -R %d %s), or choose a directory that root alone can write", owner.UID, shell.Quote(absolute)),
	}
}

// folder is a directory of bundles, of which many are worked in.
type folder struct {
	dir string
	// roots: this is root, and nobody else decides what is in it.
	roots bool
	is    unix.Stat_t
}

func folderAt(dir string) folder {
	f := folder{dir: dir}
	if absolute, err := filepath.Abs(dir); err == nil && os.Geteuid() == 0 && unix.Lstat(dir, &f.is) == nil {
		f.roots = rights.RootsAlone(absolute)
	}
	return f
}

// asOwner is [asOwner] for a bundle in it, in one look where root alone decides: at the
// folder, which root may have moved or unmounted meanwhile, and at the bundle.
func (f folder) asOwner(bundle string, do func() error) error {
	if f.roots && filepath.Dir(bundle) == filepath.Clean(f.dir) {
		var now, stat unix.Stat_t
		same := unix.Lstat(f.dir, &now) == nil && now.Dev == f.is.Dev && now.Ino == f.is.Ino && now.Uid == f.is.Uid && now.Mode == f.is.Mode
		err := unix.Lstat(bundle, &stat)
		if same && (errors.Is(err, fs.ErrNotExist) || err == nil && stat.Uid == 0 && stat.Mode&unix.S_IFMT == unix.S_IFDIR) {
			return do()
		}
	}
	return asOwner(bundle, do)
}

func (f folder) asOwnerOf(bundle string) atomicfile.As {
	return func(do func() error) error { return f.asOwner(bundle, do) }
}

// getAsOwner is [asOwner] for what has a result.
func getAsOwner[T any](dir string, get func() (T, error)) (result T, err error) {
	err = asOwner(dir, func() (err error) {
		result, err = get()
		return err
	})
	return result, err
}
