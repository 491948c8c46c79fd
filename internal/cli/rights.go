package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// rightsFindings looks at what the gateway needs in a state folder, without
// following a link or going deeper: what belongs to another user than the folder
// itself, as after one run as root, and secrets that others can read.
func rightsFindings(stateDir string) []finding {
	root, err := os.Lstat(stateDir)
	if err != nil {
		return []finding{{What: "the state folder cannot be looked at: " + err.Error(), Mend: "bootstrap run makes it; or mount the volume"}}
	}
	owner, ok := root.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	var out []finding
	if uid := os.Geteuid(); uid != 0 && int(owner.Uid) != uid {
		out = append(out, finding{
			What: fmt.Sprintf("the state folder belongs to uid %d, and this is uid %d", owner.Uid, uid),
			Mend: fmt.Sprintf("as root: chown -R %d %s", uid, stateDir), Code: StoreUnusable,
		})
	}
	for _, name := range []string{
		"identity", "identity/device.json", "identity/device-auth.json", "devices", "devices/paired.json",
		"state", "state/openclaw.sqlite", "state/openclaw.sqlite-wal", "state/openclaw.sqlite-shm",
		"bootstrap", "bootstrap/ledger.json", "bootstrap/gateway-token", "openclaw.json",
	} {
		out = append(out, rightsOf(filepath.Join(stateDir, name), stateDir, owner)...)
	}
	return out
}

func rightsOf(path, stateDir string, owner *syscall.Stat_t) []finding {
	info, err := os.Lstat(path)
	if err != nil {
		return nil // absent, or in a folder that has its own finding
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil
	}
	var out []finding
	if info.Mode()&fs.ModeSymlink != 0 {
		return []finding{{What: path + " is a symbolic link, which is never followed", Mend: "put the file itself there", Code: StoreUnusable}}
	}
	if stat.Uid != owner.Uid {
		out = append(out, finding{
			What: fmt.Sprintf("%s belongs to uid %d, and the state folder to uid %d", path, stat.Uid, owner.Uid),
			Mend: fmt.Sprintf("as root: chown -R %d:%d %s", owner.Uid, owner.Gid, stateDir),
		})
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o077 != 0 && filepath.Base(path) != "openclaw.json" {
		out = append(out, finding{
			What: fmt.Sprintf("%s holds secrets and can be read by others (mode %04o)", path, info.Mode().Perm()),
			Mend: "chmod 600 " + path,
		})
	}
	return out
}
