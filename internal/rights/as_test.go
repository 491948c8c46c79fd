package rights

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAsAUserFilesAreThatUsersAndRootsOwnAreOutOfReach(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: needs root, to act as somebody else")
	}
	dir := t.TempDir()
	for at := dir; at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	secret, theirs := filepath.Join(dir, "secret"), filepath.Join(dir, "theirs")
	err := errors.Join(os.WriteFile(secret, nil, 0o600), os.Mkdir(theirs, 0o700), os.Chown(theirs, 568, 568))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 50 {
				err := As(User{UID: 568, GID: 568}, func() error {
					if _, err := os.ReadFile(secret); !errors.Is(err, fs.ErrPermission) {
						t.Errorf("root's secret: %v", err)
					}
					file, err := os.CreateTemp(theirs, "")
					if err != nil {
						return err
					}
					var stat unix.Stat_t
					err = errors.Join(unix.Fstat(int(file.Fd()), &stat), file.Close())
					if stat.Uid != 568 || stat.Gid != 568 {
						t.Errorf("it belongs to %d:%d", stat.Uid, stat.Gid)
					}
					return err
				})
				if err != nil {
					t.Error(err)
				}
				// The process stays root, on every other thread, and then on this one.
				if _, err := os.ReadFile(secret); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func TestAsAUserGivesBackWhatWentWrong(t *testing.T) {
	wrong := errors.New("wrong")
	for _, u := range []User{{UID: 568, GID: 568}, {}} {
		if err := As(u, func() error { return wrong }); !errors.Is(err, wrong) {
			t.Errorf("as %v: %v", u, err)
		}
	}
}
