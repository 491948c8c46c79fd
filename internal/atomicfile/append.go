package atomicfile

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// Append adds a line to the end of a regular file, in one write that is on disk
// when it returns; the file is made, mode 0600, where there is none. A line that is
// written in part only, as on a full disk, is taken back; and behind a torn one, as
// a crash leaves it, the next begins on a line of its own.
func Append(path string, data []byte) error {
	if err := CheckFolder(filepath.Dir(path)); err != nil {
		return err
	}
	info, err := os.Lstat(path)
	fresh := errors.Is(err, fs.ErrNotExist)
	if err == nil {
		err = mustBeAlone(path, info)
	}
	if err != nil && !fresh {
		return err
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_APPEND|os.O_CREATE|unix.O_NOFOLLOW|unix.O_NONBLOCK, fileMode)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	if info, err = file.Stat(); err == nil {
		err = mustBeAlone(path, info)
	}
	if err != nil {
		return err
	}
	if fresh {
		if err := giveTo(file, filepath.Dir(path)); err != nil {
			return err
		}
	}
	if data, err = onNewLine(file, info.Size(), data); err != nil {
		return err
	}
	if n, err := file.Write(data); err != nil {
		takeBack(file, int64(n))
		return err
	}
	if err := file.Sync(); err != nil || !fresh {
		return err
	}
	return SyncDir(filepath.Dir(path))
}

// onNewLine is data behind a line break where the file does not end with one.
func onNewLine(file *os.File, size int64, data []byte) ([]byte, error) {
	if size == 0 {
		return data, nil
	}
	last := make([]byte, 1)
	if _, err := file.ReadAt(last, size-1); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if last[0] == '\n' {
		return data, nil
	}
	return append([]byte{'\n'}, data...), nil
}

// takeBack removes the n bytes that were just written, unless somebody has appended
// more since. Where that fails too, the next line begins behind them.
func takeBack(file *os.File, n int64) {
	end, err := file.Seek(0, io.SeekCurrent) // an append moves it to its own end
	if err != nil {
		return
	}
	if info, err := file.Stat(); err == nil && info.Size() == end {
		_ = file.Truncate(end - n)
	}
}
