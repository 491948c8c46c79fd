package hooks

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// TrustError says that another user could decide what a hook does.
type TrustError struct {
	// Path can be changed by somebody else than root and this user.
	Path, Reason, hint string
}

func (e *TrustError) Error() string { return "hooks are not run: " + e.Path + " " + e.Reason }

// Hint is the command that fixes it.
func (e *TrustError) Hint() string { return e.hint }

// trusted checks every part of a path, links and all that they lead through included:
// none may belong to, or be writable by, another user than root and this one. Others may
// write a directory that has the sticky bit, which keeps names from them, but not the
// last part. A mount that is read-only here, as a ConfigMap's, is writable by nobody.
func trusted(path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("cannot find out where the hooks are: %w", err)
	}
	here, rest, links := "/", atomicfile.Parts(absolute), 0
	for {
		last := len(rest) == 0
		stat, err := trustedPart(here, last)
		switch {
		case err != nil:
			return err
		case stat.Mode&unix.S_IFMT == unix.S_IFLNK:
			target, err := os.Readlink(here)
			if links++; err == nil && links > atomicfile.MaxLinks {
				err = &os.PathError{Op: "readlink", Path: here, Err: unix.ELOOP}
			}
			if err != nil {
				return fmt.Errorf("cannot read the hooks: %w", err)
			}
			if here = filepath.Dir(here); filepath.IsAbs(target) {
				here = "/"
			}
			rest = append(atomicfile.Parts(target), rest...)
		case last:
			return nil
		}
		if len(rest) > 0 {
			here, rest = filepath.Join(here, rest[0]), rest[1:]
		}
	}
}

func trustedPart(path string, last bool) (stat unix.Stat_t, err error) {
	if err := unix.Lstat(path, &stat); err != nil {
		return stat, fmt.Errorf("cannot read the hooks: %w", &os.PathError{Op: "lstat", Path: path, Err: err})
	}
	if self := uint32(os.Geteuid()); stat.Uid != 0 && stat.Uid != self {
		return stat, &TrustError{path, fmt.Sprintf("belongs to uid %d, and this is uid %d", stat.Uid, self), "as root: chown root " + shell.Quote(path)}
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFLNK || stat.Mode&0o022 == 0 {
		return stat, nil // a link's mode means nothing
	}
	if !last && stat.Mode&unix.S_ISVTX != 0 {
		return stat, nil
	}
	var volume unix.Statfs_t
	if unix.Statfs(path, &volume) == nil && volume.Flags&unix.ST_RDONLY != 0 {
		return stat, nil
	}
	return stat, &TrustError{path, "can be written by other users", "chmod go-w " + shell.Quote(path)}
}

func notExecutable(path string) PassedOver {
	return PassedOver{path, "this user may not execute it", "chmod +x " + shell.Quote(path) + "   of a ConfigMap: defaultMode 0755"}
}
