//go:build linux && amd64

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// loss is a state in which a loss of power can leave the volume.
type loss struct {
	world *world // as it was before the command
	what  string
	files map[string][]byte // nil is a directory
	// said: success was reported before, and this.
	said   bool
	stdout string
}

// inode is what a name stands for.
type inode struct {
	isDir       bool
	now, synced []byte
}

// volume is a model of a filesystem that has a journal, as ext4 and xfs have.
type volume struct {
	names map[string]*inode
	// journal has the names as they were at the last sync of anything, which writes
	// them all down.
	journal map[string]*inode
}

// snapshot reads a volume, all of which is on disk. The shared memory of SQLite does
// not outlive its processes.
func snapshot(root string) (*volume, error) {
	v := &volume{names: map[string]*inode{}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || path == root || strings.HasSuffix(path, "-shm") {
			return err
		}
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		node := &inode{isDir: entry.IsDir()}
		if !node.isDir {
			if node.now, err = os.ReadFile(path); err != nil {
				return err
			}
			node.synced = node.now
		}
		v.names[name] = node
		return nil
	})
	v.journal = maps.Clone(v.names)
	return v, err
}

// losses are the states after each call of a run: with the names as they are then,
// or as the journal has them, and of the files what was synced.
func losses(v *volume, result ran, w *world) (all []*loss) {
	if w.gateway != nil && !w.live {
		return nil // it would remember what the volume has lost
	}
	said, last := false, ""
	for i, c := range result.calls {
		said = said || c.op == opReport
		if c.op != opReport && (c.result < 0 || strings.HasSuffix(c.path, "-shm") || !v.take(c)) {
			continue
		}
		for _, how := range []struct {
			what  string
			names map[string]*inode
		}{{"all names, synced bytes", v.names}, {"what the journal has", v.journal}} {
			next := &loss{
				world: w, files: synced(how.names), said: said, stdout: result.stdout,
				what: fmt.Sprintf("%s, after call %d, %s", how.what, i+1, c.key()),
			}
			if state := fmt.Sprint(said, next.files); state != last {
				all, last = append(all, next), state
			}
		}
	}
	if len(all) > 0 {
		all[len(all)-1].said = true // the end
	}
	return all
}

// synced is what of the names' files is on disk.
func synced(names map[string]*inode) map[string][]byte {
	files := map[string][]byte{}
	for name, node := range names {
		if files[name] = node.synced; !node.isDir && node.synced == nil {
			files[name] = []byte{}
		}
	}
	return files
}

// take does what a call did; false where that leaves the disk as it was.
func (v *volume) take(c call) bool {
	node := v.names[c.path]
	switch c.op {
	case opOpen:
		switch {
		case node == nil:
			v.names[c.path] = &inode{}
		case c.flags&unix.O_TRUNC != 0:
			node.now = nil
		default:
			return false
		}
	case opMkdir:
		v.names[c.path] = &inode{isDir: true}
	case opUnlink:
		delete(v.names, c.path)
	case opRename, "link":
		v.names[c.path] = v.names[c.from]
		if c.swaps() {
			v.names[c.from] = node
		} else if c.op == opRename {
			delete(v.names, c.from)
		}
	case opSync:
		if node != nil {
			node.synced = node.now
		}
		v.journal = maps.Clone(v.names)
	case opSyncAll:
		for _, each := range v.names {
			each.synced = each.now
		}
		v.journal = maps.Clone(v.names)
	case opWrite, opTruncate:
		if node != nil {
			node.write(c)
		}
	default:
		return false
	}
	return true
}

func (n *inode) write(c call) {
	n.now = slices.Clone(n.now) // the synced bytes stay
	at := c.offset
	if c.op == opTruncate {
		n.now = append(n.now, make([]byte, max(0, int(at)-len(n.now)))...)[:at]
		return
	}
	if at < 0 {
		at = int64(len(n.now))
	}
	end := int(at + c.result)
	n.now = append(n.now, make([]byte, max(0, end-len(n.now)))...)
	copy(n.now[at:end], c.data)
}

// tryLoss makes the state, and goes on in it.
func (h *harness) tryLoss(dir string, c oneCase) (result failed) {
	w := *c.loss.world
	w.root, w.beside = filepath.Join(dir, "volume"), filepath.Join(dir, "out")
	result = failed{cell: cell{w.title(), powerLoss}, fault: c.loss.what}
	err := errors.Join(os.RemoveAll(dir), os.MkdirAll(w.root, 0o700), os.CopyFS(w.beside, os.DirFS(c.loss.world.beside)))
	for _, name := range slices.Sorted(maps.Keys(c.loss.files)) {
		data := c.loss.files[name]
		path := filepath.Join(w.root, name)
		if data == nil {
			err = errors.Join(err, os.MkdirAll(path, 0o700))
			continue
		}
		err = errors.Join(err, os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, data, 0o600))
	}
	if w.live {
		err = errors.Join(err, w.openGateway())
		defer w.close()
	}
	if err != nil {
		result.wrong = []string{err.Error()}
		return result
	}
	result.wrong = w.always()
	if c.loss.said {
		result.wrong = append(result.wrong, w.complete(c.loss.stdout)...)
	}
	result.wrong = append(result.wrong, w.goOn()...)
	return result
}
