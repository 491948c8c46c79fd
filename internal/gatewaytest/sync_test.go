package gatewaytest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// A directory that is made is on disk once the one that names it is.
func TestEachDirectoryThatIsMadeIsSyncedInItsParent(t *testing.T) {
	for name, prefix := range map[string][]string{
		"as root":   nil,
		"as a user": {"setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("only root can be root, and become a user")
			}
			top := must(os.MkdirTemp("", "synced-"))(t) // not in a directory of the test's, which a user cannot enter
			t.Cleanup(func() { _ = os.RemoveAll(top) })
			if len(prefix) > 0 {
				if err := os.Chown(top, 1000, 1000); err != nil {
					t.Fatal(err)
				}
			}
			program := filepath.Join(top, "bootstrap")
			if err := os.WriteFile(program, must(os.ReadFile(gatewaytest.Bootstrap(t)))(t), 0o755); err != nil {
				t.Fatal(err)
			}
			argv := append(prefix, program, "seed", "--client", "c", "--bundle-dir", filepath.Join(top, "for", "clients"))
			v := volume{state: filepath.Join(top, "a", "b", "state"), port: gatewaytest.FreePort(t)}
			cmd := exec.Command(argv[0], argv[1:]...)
			cmd.Env = append(v.env(), "HOME="+top)
			synced := map[string]bool{}
			killAtCall(t, cmd, func(call systemCall) bool {
				if call.number == unix.SYS_FSYNC {
					path, _ := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", call.tid, call.args[0]))
					synced[path] = true
				}
				return false
			})
			for _, made := range []string{"a", "a/b", "a/b/state", "a/b/state/bootstrap", "a/b/state/devices", "for", "for/clients", "for/clients/c"} {
				if _, err := os.Stat(filepath.Join(top, made)); err != nil {
					t.Error(err)
				}
				if parent := filepath.Join(top, filepath.Dir(made)); !synced[parent] {
					t.Errorf("%s was made, and %s was not synced", made, parent)
				}
			}
		})
	}
}
