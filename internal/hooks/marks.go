package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// Marks remember on a volume which hooks have run there: one file a hook, named
// after it, with the hash of what ran, or with why it failed. One whose content has
// changed has not run.
type Marks struct {
	// Dir is made when the first mark is.
	Dir string
}

// maxMark bounds a mark, in bytes.
const maxMark = 4 << 10

// Has tells whether this very hook has run. A mark that cannot be understood says
// no; one that cannot be read is an error, for a hook that runs again may harm.
func (m Marks) Has(hook Hook) (bool, error) {
	data, err := atomicfile.Read(m.path(hook), maxMark)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("cannot tell whether hook %s has run: %w", hook.Name, err)
	}
	hash, _, _ := strings.Cut(string(data), " ")
	return hash == hook.Hash, nil
}

// Put notes that a hook has run.
func (m Marks) Put(hook Hook, now time.Time) error {
	return m.write(hook, hook.Hash+" "+now.UTC().Format(time.RFC3339))
}

// failed begins the mark of a hook that has failed, where another has its hash.
const failed = "failed"

// PutFailure notes that a hook failed, which counts as not run.
func (m Marks) PutFailure(hook Hook, now time.Time, why error) error {
	return m.write(hook, fmt.Sprintf("%s %s %s", failed, now.UTC().Format(time.RFC3339), why))
}

// Failure is when a hook failed, and why; empty where it did not, or was not noted.
func (m Marks) Failure(hook Hook) string {
	data, err := atomicfile.Read(m.path(hook), maxMark)
	first, rest, _ := strings.Cut(strings.TrimSpace(string(data)), " ")
	if err != nil || first != failed {
		return ""
	}
	return rest
}

// Drop forgets what was noted about a hook.
func (m Marks) Drop(hook Hook) error {
	if err := os.Remove(m.path(hook)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot drop the mark of hook %s: %w", hook.Name, err)
	}
	return nil
}

func (m Marks) write(hook Hook, text string) error {
	err := atomicfile.MakeDirs(m.Dir)
	if err == nil {
		err = atomicfile.Replace(m.path(hook), []byte(text+"\n"))
	}
	if err != nil {
		return fmt.Errorf("cannot note what became of hook %s: %w", hook.Name, err)
	}
	return nil
}

func (m Marks) path(hook Hook) string { return filepath.Join(m.Dir, hook.Name) }
