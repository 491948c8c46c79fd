package seed

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/reflectt/bootstrap/internal/rights"
	"github.com/reflectt/bootstrap/internal/shell"
)

// asOwner does something in a bundle. As root, it does so with the rights of
// whoever decides what is at that path: a bundle may lie on a client's volume,
// where the client can put a link on the way at any moment.
func asOwner(dir string, do func() error) error {
	if os.Geteuid() != 0 {
		return do()
	}
	absolute, err := filepath.Abs(dir)
	if err != nil {
		return &StoreError{Path: dir, Err: err}
	}
	owner, err := rights.OwnerOf(absolute, false)
	if fault := (*rights.OwnerError)(nil); errors.As(err, &fault) {
		return &StoreError{Path: dir, Err: errors.New(fault.Reason), Mend: fault.Hint()}
	}
	if err != nil {
		return &StoreError{Path: dir, Err: err}
	}
	err = rights.As(owner, do)
	if owner.UID == 0 || !errors.Is(err, fs.ErrPermission) {
		return err
	}
	return &StoreError{
		Path: dir, Err: fmt.Errorf("it is written with the rights of uid %d, who could replace it: %v", owner.UID, err), //nolint:errorlint // its hint would be about root's rights
		Mend: fmt.Sprintf("let that user reach and write it (as root: chown -R %d %s), or choose a directory that root alone can write", owner.UID, shell.Quote(absolute)),
	}
}
