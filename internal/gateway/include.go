package gateway

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// Bounds on $include. The depth is the gateway's own; number and total size are
// ours, because files that include others twice grow by powers of two. So is the
// number of values: two bytes can be one, which takes a hundred in memory.
const (
	maxIncludeDepth = 10
	maxIncludeFiles = 1000
	maxIncludeTotal = 16 << 20
	maxValues       = 250_000
)

const includeKey = "$include"

// includer resolves $include: one file or a list, anywhere in the tree. A list is
// merged in order, keys beside it win, objects merge, lists are joined. A file must
// be in the directory of the configuration or in OPENCLAW_INCLUDE_ROOTS (from
// 2026.5.28), by its name and by its real path, and have one hard link.
type includer struct {
	roots  []string
	files  []string // read so far
	bytes  int      // in all of them
	values int      // at most so many, in all of them and the configuration itself
}

func newIncluder(config string, env Environment, release Release, vars variables) *includer {
	roots := []string{filepath.Dir(config)}
	if release.since(2026, 5, 28) {
		for _, entry := range filepath.SplitList(vars.trimmed("OPENCLAW_INCLUDE_ROOTS")) {
			if root := expandPath(entry, env, release); root != "" {
				roots = append(roots, root)
			}
		}
	}
	return &includer{roots: roots}
}

// resolve returns the value with every include replaced. chain is the files that
// led here, the value's own file last.
func (in *includer) resolve(value any, chain []string) (any, error) {
	switch node := value.(type) {
	case []any:
		result := make([]any, len(node))
		for i, item := range node {
			resolved, err := in.resolve(item, chain)
			if err != nil {
				return nil, err
			}
			result[i] = resolved
		}
		return result, nil
	case map[string]any:
		return in.resolveObject(node, chain)
	}
	return value, nil
}

func (in *includer) resolveObject(node map[string]any, chain []string) (any, error) {
	rest := make(map[string]any, len(node))
	for key, item := range node {
		if key == includeKey {
			continue
		}
		resolved, err := in.resolve(item, chain)
		if err != nil {
			return nil, err
		}
		rest[key] = resolved
	}
	directive, ok := node[includeKey]
	if !ok {
		return rest, nil
	}
	included, err := in.include(directive, chain)
	if err != nil || len(rest) == 0 {
		return included, err
	}
	if _, ok := included.(map[string]any); !ok {
		return nil, errors.New("$include beside other keys must give an object")
	}
	return mergeConfig(included, rest), nil
}

func (in *includer) include(directive any, chain []string) (any, error) {
	switch directive := directive.(type) {
	case string:
		return in.load(directive, chain)
	case []any:
		var merged any = map[string]any{}
		for _, item := range directive {
			name, ok := item.(string)
			if !ok {
				return nil, errors.New("$include holds something that is no path")
			}
			loaded, err := in.load(name, chain)
			if err != nil {
				return nil, err
			}
			merged = mergeConfig(merged, loaded)
		}
		return merged, nil
	}
	return nil, errors.New("$include is neither a path nor a list of paths")
}

func (in *includer) load(name string, chain []string) (any, error) {
	path := resolvePath(filepath.Dir(chain[len(chain)-1]), name)
	switch {
	case strings.ContainsRune(name, 0) || len(path) >= 4096:
		return nil, errors.New("$include has no usable path")
	case slices.Contains(chain, path):
		return nil, fmt.Errorf("%s includes itself", path)
	case len(chain) > maxIncludeDepth:
		return nil, fmt.Errorf("includes are more than %d deep at %s", maxIncludeDepth, path)
	case len(in.files) >= maxIncludeFiles:
		return nil, fmt.Errorf("more than %d files are included", maxIncludeFiles)
	}
	if err := in.contained(path); err != nil {
		return nil, err
	}
	data, err := readRegular(path, maxIncludeBytes)
	if err != nil {
		return nil, err
	}
	in.files = append(in.files, path)
	if in.bytes += len(data); in.bytes > maxIncludeTotal {
		return nil, errors.New("the included files are too large together")
	}
	if err := in.count(data); err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	value, err := parseJSON5(data)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, err)
	}
	return in.resolve(value, append(slices.Clone(chain), path))
}

// count adds up the values that a file can have: before each there is one of these
// characters, wherever else they stand.
func (in *includer) count(data []byte) error {
	for _, c := range data {
		if c == ',' || c == '[' || c == '{' {
			in.values++
		}
	}
	if in.values > maxValues {
		return fmt.Errorf("it has more than %d values, with what is included", maxValues)
	}
	return nil
}

func (in *includer) contained(path string) error {
	inside := func(root string) bool { return isInside(root, path) }
	if !slices.ContainsFunc(in.roots, inside) {
		return fmt.Errorf("%s is outside the directory of the configuration", path)
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot read %s: %w", path, fs.ErrNotExist)
	}
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	reallyInside := func(root string) bool {
		if target, err := filepath.EvalSymlinks(root); err == nil {
			root = target
		}
		return isInside(root, real)
	}
	if !slices.ContainsFunc(in.roots, reallyInside) {
		return fmt.Errorf("%s leads outside the directory of the configuration", path)
	}
	info, err := os.Stat(real)
	if err != nil {
		return fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Nlink > 1 {
		return fmt.Errorf("%s has several hard links", path)
	}
	return nil
}

func isInside(root, path string) bool {
	relative, err := filepath.Rel(root, path)
	return err == nil && relative != ".." && !strings.HasPrefix(relative, "../")
}

// mergeConfig lays one value over another: objects merge, lists are joined, all
// else is replaced. Keys that would reach a JavaScript prototype are left out. What
// lies below is changed, not copied, or a thousand includes would copy it as often.
func mergeConfig(below, above any) any {
	switch above := above.(type) {
	case []any:
		if below, ok := below.([]any); ok {
			return append(below, above...)
		}
	case map[string]any:
		below, ok := below.(map[string]any)
		if !ok {
			break
		}
		for key, value := range above {
			if key == "__proto__" || key == "constructor" || key == "prototype" {
				continue
			}
			if old, ok := below[key]; ok {
				value = mergeConfig(old, value)
			}
			below[key] = value
		}
		return below
	}
	return above
}

// Sizes that nothing real comes near.
const (
	maxManifestBytes = 1 << 20
	maxConfigBytes   = 4 << 20
	maxIncludeBytes  = 2 << 20 // the gateway's own limit
	maxDotenvBytes   = 1 << 20 // the gateway's own limit from 2026.9.6
	maxSecretBytes   = 1 << 20
)

// errTooLarge and errNotRegular say why a file was not read.
var (
	errTooLarge   = errors.New("larger than anything a gateway reads")
	errNotRegular = errors.New("not a regular file")
)

// readRegular reads a file of at most limit bytes. It never blocks on a FIFO.
func readRegular(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read %s: %w", path, errNotRegular)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("cannot read %s: %w", path, errTooLarge)
	}
	return data, nil
}

// unwrapPath drops the "open /path:" that our own message already says.
func unwrapPath(err error) error {
	if wrapped, is := errors.AsType[*os.PathError](err); is {
		return wrapped.Err
	}
	return err
}
