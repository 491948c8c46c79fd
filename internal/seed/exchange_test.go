package seed

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// gatewayPairs replaces the file as a gateway of the file era does.
func gatewayPairs(t *testing.T, path, content string) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path+".tmp", []byte(content), 0o600), os.Rename(path+".tmp", path)); err != nil {
		t.Fatal(err)
	}
}

// What a gateway wrote just before an exchange is in the temporary file alone until the
// note about it is on disk.
func TestWhatAnExchangeTookOutOutlivesAFault(t *testing.T) {
	for name, fault := range map[string]func(t *testing.T, noteTemporary string){
		"a kill": func(*testing.T, string) { panic("killed") },
		"no room for the second note": func(t *testing.T, noteTemporary string) {
			if err := os.MkdirAll(filepath.Join(noteTemporary, "in the way"), 0o700); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			options := Options{StateDir: dir, LockTimeout: time.Minute, Live: func(context.Context, Credentials) bool { return true }}
			if err := os.MkdirAll(filepath.Join(dir, "devices"), 0o700); err != nil {
				t.Fatal(err)
			}
			path, inTheWay := filepath.Join(dir, "devices", "paired.json"), atomicfile.Temporary(notePath(dir))
			gatewayPairs(t, path, `{"there": {"token": "old"}, "removed": {}}`)
			err := InSession(t.Context(), options, func(s *Session) (err error) {
				files, _ := s.store.(*jsonStore)
				content, err := files.read()
				if err != nil {
					return err
				}
				builds := 0
				defer func() {
					if recover() != nil {
						err = errors.New("killed")
					}
				}()
				return files.replace(content, func(c *jsonContent) []byte {
					if builds++; builds == 1 {
						gatewayPairs(t, path, `{"there": {"token": "rotated"}, "paired": {}}`)
					} else {
						fault(t, inTheWay)
					}
					return splice(c.data, c.spans, c.closing, map[string]Device{"ours": {}}, func(e *entry, _ Device) { e.set("deviceId", "ours") })
				})
			})
			if err == nil {
				t.Fatal("no fault")
			}
			if err := os.RemoveAll(inTheWay); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if err := InSession(t.Context(), options, func(*Session) error { return nil }); err != nil {
					t.Fatal(err)
				}
				got, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				if has := string(got); !strings.Contains(has, "rotated") || !strings.Contains(has, `"paired"`) || !strings.Contains(has, `"ours"`) || strings.Contains(has, `"removed"`) {
					t.Errorf("the store is %s", has)
				}
				if left, err := filepath.Glob(filepath.Join(dir, "devices", ".*")); err != nil || len(left) > 0 || atomicfile.Exists(notePath(dir)) {
					t.Errorf("left behind: %v, %v", left, err)
				}
			}
		})
	}
}
