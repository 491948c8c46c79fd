package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// Marks remember on a volume which hooks have run there: one file a hook, named
// after it, with the hash of what ran. One whose content has changed has not run.
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
	err := atomicfile.MakeDirs(m.Dir)
	if err == nil {
		err = atomicfile.Replace(m.path(hook), []byte(hook.Hash+" "+now.UTC().Format(time.RFC3339)+"\n"))
	}
	if err != nil {
		return fmt.Errorf("cannot note that hook %s has run: %w", hook.Name, err)
	}
	return nil
}

func (m Marks) path(hook Hook) string { return filepath.Join(m.Dir, hook.Name) }
