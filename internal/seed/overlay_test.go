package seed_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/seed"
)

// container is a container's root over an image's layers: its writes go into a
// layer of its own, which is returned too.
func container(t *testing.T, image string) (root, layer string) {
	t.Helper()
	base := t.TempDir()
	layer, root = filepath.Join(base, "upper"), filepath.Join(base, "merged")
	for _, dir := range []string{layer, root, filepath.Join(base, "work")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	options := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", image, layer, filepath.Join(base, "work"))
	if err := unix.Mount("overlay", root, "overlay", 0, options); err != nil {
		t.Skipf("no overlayfs can be mounted here, which takes root and a filesystem that may be a layer: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(root, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return root, layer
}

// gatewayWrites replaces the file as a file-era gateway does, by a file of
// another name and a rename.
func gatewayWrites(t *testing.T, stateDir, content string) {
	t.Helper()
	path := filepath.Join(stateDir, "devices", "paired.json")
	write(t, path+".0b9f7c1e.tmp", content)
	if err := os.Rename(path+".0b9f7c1e.tmp", path); err != nil {
		t.Fatal(err)
	}
}

// The first write below a directory of the image copies it into the container's
// layer, where it is as young as that write.
func TestADeviceThatWasRemovedInAContainerStaysRemoved(t *testing.T) {
	build, image := container(t, t.TempDir())
	if _, err := pairSelf(t, options(build), "operator.read"); err != nil {
		t.Fatal(err)
	}
	root, _ := container(t, image)
	if result, err := pairSelf(t, options(root), "operator.read"); err != nil || result.Outcome != seed.Unchanged {
		t.Fatalf("the first start: %+v, %v", result, err)
	}
	gatewayWrites(t, root, "{}")
	for range 2 {
		if result, err := pairSelf(t, options(root), "operator.read"); err != nil || result.Outcome != seed.Revoked {
			t.Errorf("a later start: %+v, %v", result, err)
		}
	}
}

func TestAStoreThatWasEmptiedInAContainerIsSeededAgain(t *testing.T) {
	root, _ := container(t, t.TempDir())
	for range 2 {
		if result, err := pairSelf(t, options(root), "operator.read"); err != nil || result.Outcome != seed.Created {
			t.Errorf("got %+v, %v", result, err)
		}
		if err := os.RemoveAll(filepath.Join(root, "devices")); err != nil {
			t.Fatal(err)
		}
	}
}

// A database that is read alone is not copied into the container's layer; the
// gateway's first write to it would make it as young as that.
func TestADeviceThatWasRemovedFromADatabaseOfTheImageStaysRemoved(t *testing.T) {
	image := database(t, gatewayTables(t))
	if _, err := pairSelf(t, options(image), "operator.read"); err != nil {
		t.Fatal(err)
	}
	gateway := openDatabase(t, image)
	if _, err := gateway.Exec("UPDATE schema_meta SET updated_at = updated_at + 1"); err != nil {
		t.Fatal(err)
	}
	log := read(t, filepath.Join(image, "state", "openclaw.sqlite-wal"))
	if err := gateway.Close(); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(image, "state", "openclaw.sqlite-wal"), log) // a gateway leaves one behind
	root, _ := container(t, image)
	if result, err := pairSelf(t, options(root), "operator.read"); err != nil || result.Outcome != seed.Unchanged {
		t.Fatalf("the first start: %+v, %v", result, err)
	}
	gateway = openDatabase(t, root)
	if _, err := gateway.Exec("DELETE FROM device_pairing_paired"); err != nil {
		t.Fatal(err)
	}
	if err := gateway.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if result, err := pairSelf(t, options(root), "operator.read"); err != nil || result.Outcome != seed.Revoked {
			t.Errorf("a later start: %+v, %v", result, err)
		}
	}
}
