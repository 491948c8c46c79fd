package seed

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/reflectt/bootstrap/internal/statedb"
)

// Stamp changes whenever a pairing store below a state directory is written. It
// opens nothing, so it may be asked often.
func Stamp(stateDir string) (stamp string) {
	database := statedb.Path(stateDir)
	for _, path := range []string{filepath.Join(stateDir, "devices", "paired.json"), database, database + "-wal"} {
		if info, err := os.Stat(path); err == nil {
			stamp += fmt.Sprint(info.Size(), info.ModTime().UnixNano(), " ")
		}
	}
	return stamp
}
