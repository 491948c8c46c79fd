package gateway

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
)

// Sizes that nothing real comes near.
const (
	maxManifestBytes = 1 << 20
	maxConfigBytes   = 4 << 20
	maxIncludeBytes  = 2 << 20 // the gateway's own limit
	maxDotenvBytes   = 1 << 20 // the gateway's own limit from 2026.9.6
	maxSecretBytes   = 1 << 20
)

// errTooLarge and errNotRegular say why a file was not read.
var (
	errTooLarge   = errors.New("larger than anything a gateway reads")
	errNotRegular = errors.New("not a regular file")
)

// readRegular reads a file of at most limit bytes. It never blocks on a FIFO.
func readRegular(path string, limit int64) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("cannot read %s: %w", path, errNotRegular)
	}
	data, err := io.ReadAll(io.LimitReader(file, limit+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read %s: %w", path, unwrapPath(err))
	}
	if int64(len(data)) > limit {
		return nil, fmt.Errorf("cannot read %s: %w", path, errTooLarge)
	}
	return data, nil
}

// unwrapPath drops the "open /path:" that our own message already says.
func unwrapPath(err error) error {
	var wrapped *os.PathError
	if errors.As(err, &wrapped) {
		return wrapped.Err
	}
	return err
}
