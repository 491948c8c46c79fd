package gatewaytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// stateRevision names how a booted state is made; raise it when that changes.
const stateRevision = "1"

// BootedState is a state directory that a release has booted once, with no client
// ever connected, and left with exit code 0. It is made once a machine (a boot
// costs about 20 CPU seconds) and shared: use CopyState to change anything.
func BootedState(t testing.TB, version string) string {
	t.Helper()
	NeedGateway(t)
	dir := filepath.Join(cacheDir(t), "booted-"+version+"-r"+stateRevision)
	// Two packages may ask for the same state at once.
	unlock := lock(t, dir+".lock")
	defer unlock()
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	work := dir + ".partial"
	if err := os.RemoveAll(work); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	g := Start(t, Options{Version: version, StateDir: work, Token: "booted-state"})
	g.WaitReady(t)
	if code := g.Stop(t); code != 0 {
		t.Fatalf("the first boot of openclaw %s ended with exit code %d", version, code)
	}
	if err := os.Rename(work, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}

// CopyState is a private copy of BootedState, owned as the original is.
func CopyState(t testing.TB, version string) string {
	t.Helper()
	dir := t.TempDir()
	copyInto(t, dir, BootedState(t, version)+string(filepath.Separator)+".")
	return dir
}

// CopyDatabase is CopyState with the database alone, for a test that starts no gateway
// on it: 2026.9.6 keeps 55 MB of its Control UI beside it.
func CopyDatabase(t testing.TB, version string) string {
	t.Helper()
	dir := t.TempDir()
	copyInto(t, dir, filepath.Join(BootedState(t, version), "state"))
	return dir
}

// copyInto does it by cp and not by os.CopyFS, which loses the modes 0600 and 0700.
func copyInto(t testing.TB, dir, from string) {
	t.Helper()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", from, dir).CombinedOutput(); err != nil {
		t.Fatalf("cannot copy the booted state: %v\n%s", err, out)
	}
}

// lock waits for an exclusive lock on a file, which the kernel lets go of when
// this process ends, however it ends.
func lock(t testing.TB, path string) (unlock func()) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatalf("cannot lock %s: %v", path, err)
	}
	return func() { _ = f.Close() }
}
