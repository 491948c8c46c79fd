package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// volume is a state directory and, beside it, what must not be touched.
type volume struct {
	state, target string
}

// newVolume makes a seeded volume that belongs to volumeOwner. Its path needs
// quoting: what a hint says to type must not be about another path.
func newVolume(t *testing.T) volume {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("skipped: needs root, who alone could be led astray")
	}
	base := t.TempDir()
	for dir := base; dir != os.TempDir() && dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil { // the owner has to get there
			t.Fatal(err)
		}
	}
	v := volume{filepath.Join(base, `a "user's" volume`), filepath.Join(base, "target")}
	v.sh(t, `mkdir "$TARGET"; printf keep >"$TARGET/file"`)
	if code, out := v.bootstrap(t, "seed", "--client", "a"); code != 0 {
		t.Fatalf("exit %d\n%s", code, out)
	}
	v.sh(t, `chown -R 1000:1000 "$VOLUME"; chown -R 1000 "$TARGET"`)
	return v
}

// environ has a port at which nobody listens.
func (v volume) environ() []string {
	return append(os.Environ(),
		"OPENCLAW_STATE_DIR="+v.state, "OPENCLAW_GATEWAY_PORT=1", "VOLUME="+v.state, "TARGET="+v.target,
		"GORACE=atexit_sleep_ms=0")
}

// bootstrap runs the program.
func (v volume) bootstrap(t *testing.T, args ...string) (code int, output string) {
	t.Helper()
	return v.run(t, exec.CommandContext(t.Context(), "bootstrap", args...))
}

// sh runs a script that has to succeed.
func (v volume) sh(t *testing.T, script string) string {
	t.Helper()
	code, out := v.run(t, exec.CommandContext(t.Context(), "sh", "-eu", "-c", script))
	if code != 0 {
		t.Fatalf("%s: exit %d\n%s", script, code, out)
	}
	return out
}

// mounted runs a script with mounts of its own, which end with it.
func (v volume) mounted(t *testing.T, script string) (code int, output string) {
	t.Helper()
	return v.run(t, exec.CommandContext(t.Context(), "unshare", "--mount", "sh", "-u", "-c", script))
}

func (v volume) run(t *testing.T, cmd *exec.Cmd) (int, string) {
	t.Helper()
	cmd.Env = v.environ()
	out, err := cmd.CombinedOutput()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// tree is everything below a directory: kind, mode, owner and content, by path. A
// link stands for itself, and nothing is opened but regular files.
func tree(t *testing.T, root string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		text := fmt.Sprintf("%v %d", info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			text += " " + string(data)
		}
		name, err := filepath.Rel(root, path)
		out[name] = text
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// wantKept: all that was there is there as it was. There are tokens in it, so
// only the names are told.
func wantKept(t *testing.T, before, after map[string]string, except ...string) {
	t.Helper()
	for name, text := range before {
		excepted := false
		for _, e := range except {
			excepted = excepted || e == name
		}
		if got, there := after[name]; !there {
			t.Errorf("gone: %s", name)
		} else if got != text && !excepted {
			t.Errorf("changed: %s", name)
		}
	}
}
