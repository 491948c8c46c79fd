// Package hooks owns the programs that people add around a gateway's start: how they
// are found and ordered, who may have written them, how long each may run, where its
// output goes, and which have run on a volume already. It must not know what a gateway
// is or what a hook is for. It starts programs only through the function that it is
// given, never logs, and never decides what a failure means.
//
// A hooks directory has two directories: [PreStart], which runs before the gateway
// starts, and [Proven], which runs once its pairing is proven.
package hooks

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// Stage is a directory of hooks, and when they run.
type Stage string

const (
	PreStart Stage = "pre-start.d"
	Proven   Stage = "proven.d"
)

// maxHook bounds a hook's file, in bytes: it is read for its hash.
const maxHook = 64 << 20

// Hook is one program.
type Hook struct {
	Stage Stage
	// Name is the file's; names give the order.
	Name string
	Path string
	// Hash is the SHA-256 of its content, in hex.
	Hash string
}

// Set is what one hooks directory has.
type Set struct {
	PreStart, Proven []Hook
	// Passed over are paths in it that are no hooks, with the reason.
	PassedOver []PassedOver
}

// PassedOver is a file that does not run.
type PassedOver struct{ Path, Reason, Hint string }

// Find lists the hooks below dir, each stage in the order of names. A directory that
// is not there has none. Errors are a [*TrustError] where somebody else than root
// and this user could change what would run.
func Find(dir string) (Set, error) {
	before, passed, err := find(dir, PreStart)
	if err != nil {
		return Set{}, err
	}
	after, more, err := find(dir, Proven)
	if err != nil {
		return Set{}, err
	}
	return Set{PreStart: before, Proven: after, PassedOver: append(passed, more...)}, nil
}

func find(dir string, stage Stage) (hooks []Hook, passed []PassedOver, err error) {
	directory := filepath.Join(dir, string(stage))
	entries, err := os.ReadDir(directory) // sorted by name
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cannot read the hooks: %w", err)
	}
	if err := trusted(directory); err != nil {
		return nil, nil, err
	}
	for _, entry := range entries {
		path := filepath.Join(directory, entry.Name())
		info, err := os.Stat(path) // a link is followed: ConfigMaps consist of them
		switch {
		case entry.Name()[0] == '.':
			continue // an editor's, or a ConfigMap's own
		case err != nil:
			return nil, nil, fmt.Errorf("cannot read a hook: %w", err)
		case !hookName().MatchString(entry.Name()):
			passed = append(passed, PassedOver{Path: path, Reason: "a hook's name has letters, digits, dots, dashes and underscores, and ends in a letter or digit"})
			continue
		case !info.Mode().IsRegular():
			passed = append(passed, PassedOver{Path: path, Reason: "it is no file"})
			continue
		case unix.Access(path, unix.X_OK) != nil:
			passed = append(passed, notExecutable(path))
			continue
		}
		hook, err := read(stage, path)
		if err != nil {
			return nil, nil, err
		}
		hooks = append(hooks, hook)
	}
	return hooks, passed, nil
}

func hookName() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*[A-Za-z0-9]$|^[A-Za-z0-9]$`)
}

func read(stage Stage, path string) (Hook, error) {
	if err := trusted(path); err != nil {
		return Hook{}, err
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return Hook{}, fmt.Errorf("cannot read a hook: %w", err)
	}
	data, err := atomicfile.Read(real, maxHook)
	if err != nil {
		return Hook{}, fmt.Errorf("cannot read a hook: %w", err)
	}
	sum := sha256.Sum256(data)
	return Hook{Stage: stage, Name: filepath.Base(path), Path: path, Hash: hex.EncodeToString(sum[:])}, nil
}
