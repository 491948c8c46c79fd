package hooks

import (
	"bufio"
	"errors"
	"io"
	"strings"
)

// maxLine bounds a line of output, in bytes; what is beyond is left out.
const maxLine = 4 << 10

// cut marks where a line was longer.
const cut = " [cut]"

// Lines hands on each line of a hook's output until that ends: without its end,
// without carriage returns at it, valid UTF-8, and with at most 4 KiB of it.
func Lines(from io.Reader, said func(string)) {
	in := bufio.NewReaderSize(from, maxLine)
	for {
		data, err := in.ReadSlice('\n')
		line := strings.TrimRight(string(data), "\r\n")
		tooLong := errors.Is(err, bufio.ErrBufferFull)
		if tooLong {
			line += cut
		}
		if line != "" || err == nil {
			said(strings.ToValidUTF8(line, "\uFFFD"))
		}
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = in.ReadSlice('\n')
		}
		if err != nil {
			return
		}
	}
}
