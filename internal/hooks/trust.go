package hooks

import (
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

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

// trusted checks every part of a path, links and their targets included: neither
// may belong to, or be writable by, another user than root and this one. Others may
// write a directory that has the sticky bit, which keeps names from them, but not the
// last part. A mount that is read-only here, as a ConfigMap's, is writable by nobody.
func trusted(path string) error {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return fmt.Errorf("cannot find out where the hooks are: %w", err)
	}
	real, err := filepath.EvalSymlinks(absolute)
	if err != nil {
		return fmt.Errorf("cannot read the hooks: %w", err)
	}
	for _, way := range []string{absolute, real} {
		for _, part := range parts(way) {
			if err := trustedPart(part, part == way); err != nil {
				return err
			}
		}
	}
	return nil
}

// parts are a path and all above it, from the root on.
func parts(path string) []string {
	out := []string{"/"}
	for i, r := range path {
		if r == '/' && i > 0 {
			out = append(out, path[:i])
		}
	}
	return append(out, path)
}

func trustedPart(path string, last bool) error {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return fmt.Errorf("cannot read the hooks: %w", &os.PathError{Op: "lstat", Path: path, Err: err})
	}
	if self := uint32(os.Geteuid()); stat.Uid != 0 && stat.Uid != self {
		return &TrustError{path, fmt.Sprintf("belongs to uid %d, and this is uid %d", stat.Uid, self), "as root: chown root " + shell.Quote(path)}
	}
	if stat.Mode&unix.S_IFMT == unix.S_IFLNK || stat.Mode&0o022 == 0 {
		return nil // a link's mode means nothing
	}
	if !last && stat.Mode&unix.S_ISVTX != 0 {
		return nil
	}
	var volume unix.Statfs_t
	if unix.Statfs(path, &volume) == nil && volume.Flags&unix.ST_RDONLY != 0 {
		return nil
	}
	return &TrustError{path, "can be written by other users", "chmod go-w " + shell.Quote(path)}
}

func notExecutable(path string) PassedOver {
	return PassedOver{path, "this user may not execute it", "chmod +x " + shell.Quote(path) + "   of a ConfigMap: defaultMode 0755"}
}
