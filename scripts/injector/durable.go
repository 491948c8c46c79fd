//go:build linux && amd64

package main

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// disk is what a trace says about what would outlive a loss of power: a file once it
// was synced, its name once its directory was. It asks for more than ext4 does, which
// writes down every name when it syncs any file.
type disk struct {
	dirty   map[string]bool            // files with bytes that no sync has followed
	entries map[string]map[string]bool // names by directory, likewise
	// blind are directories that could not be opened: SQLite does without their sync.
	blind map[string]bool
	// wrote are files that have something in them; a -wal without is as good as none.
	wrote  map[string]bool
	faults []string
}

// lastsNot tells of files whose loss is none: locks, the shared memory that SQLite
// makes anew, and the database as long as its -wal says the same.
func lastsNot(path string) bool {
	return strings.HasSuffix(path, "lock") || strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".sqlite")
}

// inPlace tells of a file that is only ever to be replaced as a whole.
func inPlace(path string) bool {
	name := filepath.Base(path)
	return (strings.HasSuffix(name, ".json") || name == "env" || name == "gateway-token") && !strings.HasPrefix(name, ".")
}

// undurable checks a run that was a success: what is not on disk when it says so,
// and what took a file's place before it was on disk.
func undurable(calls []call) []string {
	d := &disk{dirty: map[string]bool{}, entries: map[string]map[string]bool{}, blind: map[string]bool{}, wrote: map[string]bool{}}
	for _, c := range calls {
		if c.op == opReport {
			d.report(c.path)
		} else if c.result >= 0 {
			d.take(c)
		} else if c.op == opRead || c.op == opSync {
			d.blind[c.path] = true
		}
	}
	d.report("the end")
	slices.Sort(d.faults)
	return slices.Compact(d.faults)
}

func (d *disk) take(c call) {
	switch c.op {
	case opOpen:
		if c.made {
			d.enter(c.path)
		} else if c.flags&unix.O_TRUNC != 0 {
			d.write(c.path)
		}
	case opWrite, opTruncate:
		d.write(c.path)
	case opSync:
		delete(d.dirty, c.path)
		delete(d.entries, c.path)
	case opSyncAll:
		clear(d.dirty)
		clear(d.entries)
	case opMkdir:
		d.enter(c.path)
	case opUnlink:
		if database, isLog := strings.CutSuffix(c.path, "-wal"); isLog && d.dirty[database] {
			d.faults = append(d.faults, c.path+" was removed before the database was synced")
		}
		delete(d.dirty, c.path)
		delete(d.entries[filepath.Dir(c.path)], c.path)
	case opRename, "link":
		if d.dirty[c.from] {
			d.faults = append(d.faults, c.path+" was replaced by what was not synced before")
		}
		if c.op == opRename && !c.swaps() {
			delete(d.entries[filepath.Dir(c.from)], c.from)
			delete(d.dirty, c.from)
		}
		d.enter(c.path)
	}
}

func (d *disk) enter(path string) {
	dir := filepath.Dir(path)
	if d.entries[dir] == nil {
		d.entries[dir] = map[string]bool{}
	}
	d.entries[dir][path] = true
}

func (d *disk) write(path string) {
	d.dirty[path], d.wrote[path] = true, true
	if inPlace(path) {
		d.faults = append(d.faults, path+" was written in place")
	}
}

func (d *disk) report(when string) {
	for _, path := range slices.Sorted(maps.Keys(d.dirty)) {
		if !lastsNot(path) {
			d.faults = append(d.faults, fmt.Sprintf("%s was not synced by success (%s)", path, when))
		}
	}
	for dir, names := range d.entries {
		for path := range names {
			if !lastsNot(path) && (!strings.HasSuffix(path, "-wal") || d.wrote[path] && !d.blind[dir]) {
				d.faults = append(d.faults, fmt.Sprintf("%s was not synced after %s was made in it, by success (%s)", dir, path, when))
			}
		}
	}
}
