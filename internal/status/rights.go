package status

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

// rightsFindings looks at what the gateway needs in a state directory, without
// following a link in it or going deeper: what belongs to another user than the
// directory itself, as after one run as root, and secrets that others can read.
// openclaw.json is the user's own, and may well be a link or a mount.
func rightsFindings(stateDir string) []Finding {
	if real, err := filepath.EvalSymlinks(stateDir); err == nil {
		stateDir = real // whose rights count, and which chown needs
	}
	root, err := os.Lstat(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return []Finding{{What: "the state directory is not there yet: " + stateDir, Fix: "bootstrap seed or run makes it; or mount the volume"}}
	}
	if err != nil {
		return []Finding{{What: "the state directory cannot be looked at: " + err.Error(), Fix: "look at the rights of the directories above it (ls -ld)"}}
	}
	owner, is := root.Sys().(*syscall.Stat_t)
	if !is {
		return nil
	}
	var out []Finding
	var volume unix.Statfs_t
	if unix.Statfs(stateDir, &volume) == nil && volume.Flags&unix.ST_RDONLY != 0 {
		out = append(out, Finding{
			// Advice alone: a sidecar that only looks is well served by such a mount.
			What: "the state directory is mounted read-only here: nothing can be paired from here, and no gateway can work on this mount",
			Fix:  "mount the volume read-write",
		})
	}
	user, ok := userOf(stateDir, owner)
	if !ok {
		out = append(out, Finding{
			What: fmt.Sprintf("the state directory belongs to uid %d, and this is uid %d", owner.Uid, os.Geteuid()),
			Fix:  fmt.Sprintf("as root: chown -R %d %s", os.Geteuid(), shell.Quote(stateDir)), Err: errUnusable{},
		})
	}
	for _, name := range []string{
		"identity", "identity/device.json", "identity/device-auth.json", "devices", "devices/paired.json",
		"state", "state/openclaw.sqlite", "state/openclaw.sqlite-wal", "state/openclaw.sqlite-shm", "state/openclaw.sqlite-journal",
		"bootstrap", "bootstrap/ledger.json", "bootstrap/gateway-token",
	} {
		out = append(out, rightsOf(filepath.Join(stateDir, name), stateDir, user)...)
	}
	return out
}

// user is whose the files of a state directory have to be.
type user struct{ uid, gid uint32 }

// userOf is the owner of the state directory; in one that others may work in, as a volume
// of Kubernetes is root's and its group's (fsGroup), the owner of what was written there, or
// before that this user. It is false for who is another one.
func userOf(stateDir string, owner *syscall.Stat_t) (user, bool) {
	is, uid := user{owner.Uid, owner.Gid}, uint32(os.Geteuid())
	var written unix.Stat_t
	switch {
	case uid == 0 && owner.Uid != 0, uid != 0 && uid == owner.Uid:
		return is, true
	case unix.Lstat(seed.Dir(stateDir), &written) == nil:
		is.uid = written.Uid
	default:
		is.uid = uid
	}
	return is, uid == 0 || uid == is.uid && mayWork(stateDir)
}

// mayWork tells whether this user may write into a directory, were it not for the mount.
func mayWork(path string) bool {
	err := unix.Faccessat(unix.AT_FDCWD, path, unix.W_OK|unix.X_OK, unix.AT_EACCESS)
	return err == nil || errors.Is(err, unix.EROFS)
}

func rightsOf(path, stateDir string, user user) []Finding {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // absent, or in a directory that has its own finding
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	var out []Finding
	if info.Mode()&fs.ModeSymlink != 0 {
		return []Finding{{What: path + " is a symbolic link, which is never followed", Fix: "put the file itself there", Err: errUnusable{}}}
	}
	if stat.Uid != user.uid {
		out = append(out, Finding{
			What: fmt.Sprintf("%s belongs to uid %d, and the state directory is worked in by uid %d", path, stat.Uid, user.uid),
			Fix:  fmt.Sprintf("as root: chown -R %d:%d %s", user.uid, user.gid, shell.Quote(stateDir)),
		})
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 {
		out = append(out, Finding{
			What: fmt.Sprintf("%s holds secrets and can be read by others (mode %04o)", path, info.Mode().Perm()),
			Fix:  "chmod 600 " + shell.Quote(path),
		})
	}
	return out
}
