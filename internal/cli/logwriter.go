package cli

import (
	"bytes"
	"errors"
	"io"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// logPatience is how long a log line may keep its writer waiting, and the end of
	// the program: after that whoever should read it does not.
	logPatience = 250 * time.Millisecond
	// logRoom is how many bytes of log lines wait for their reader at most.
	logRoom = 64 << 10
)

// logWriter passes log lines on, each as it comes, for as long as they can be
// written. A full pipe, a terminal that somebody has stopped, or a disk that hangs
// keeps nobody waiting: lines then wait here, and where there are too many, or they
// cannot be written at all, they are dropped and counted. The count is written as
// soon as there is room again.
//
// Writing is left to a goroutine that may block. O_NONBLOCK is not for us to set:
// the gateway writes to the same open file, and may or may not have set it.
type logWriter struct {
	to       io.Writer
	patience time.Duration
	room     int

	mu      sync.Mutex
	missing func(dropped int) []byte // the line that says how many were dropped
	waiting []*logLine               // the first one is being written
	size    int                      // bytes of those that wait
	writing bool                     // a goroutine does that
	dropped int
	stuck   bool // somebody has waited in vain, and lines still wait

	torn bool // the last line was written in part; the goroutine's own
}

type logLine struct {
	text    []byte
	dropped int // how many it says were dropped; 0 is any other line
	written chan struct{}
}

func newLogWriter(to io.Writer) *logWriter {
	return &logWriter{to: to, patience: logPatience, room: logRoom}
}

// countBy says what a line with the count of dropped ones looks like.
func (w *logWriter) countBy(missing func(dropped int) []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.missing = missing
}

// Write takes one line, and never fails. It returns when that is written, or at
// once where earlier ones could not be.
func (w *logWriter) Write(text []byte) (int, error) {
	if line, wait := w.add(text); wait && !w.await(line) {
		w.mu.Lock()
		w.stuck = len(w.waiting) > 0
		w.mu.Unlock()
	}
	return len(text), nil
}

// add puts a line among those that wait, and says whether to wait for it.
func (w *logWriter) add(text []byte) (line *logLine, wait bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.size > 0 && w.size+len(text) > w.room {
		w.dropped++
		return nil, false
	}
	w.logMissing()
	return w.append(bytes.Clone(text), 0), !w.stuck
}

// logMissing puts the count of what was dropped where it was dropped.
func (w *logWriter) logMissing() {
	if w.dropped > 0 && w.missing != nil {
		w.append(w.missing(w.dropped), w.dropped)
		w.dropped = 0
	}
}

func (w *logWriter) append(text []byte, dropped int) *logLine {
	line := &logLine{text: text, dropped: dropped, written: make(chan struct{})}
	w.waiting = append(w.waiting, line)
	w.size += len(text)
	if !w.writing {
		w.writing = true
		go w.writeAll()
	}
	return line
}

func (w *logWriter) await(line *logLine) bool {
	timer := time.NewTimer(w.patience)
	defer timer.Stop()
	select {
	case <-line.written:
		return true
	case <-timer.C:
		return false
	}
}

// flush gives what waits a last moment, before the program ends or becomes
// another one.
func (w *logWriter) flush() {
	w.mu.Lock()
	var last *logLine
	if len(w.waiting) > 0 {
		last = w.waiting[len(w.waiting)-1]
	}
	w.mu.Unlock()
	if last != nil {
		w.await(last)
	}
}

// writeAll writes until nothing waits.
func (w *logWriter) writeAll() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.waiting) > 0 {
		line := w.waiting[0]
		w.mu.Unlock()
		err := w.write(line.text)
		w.mu.Lock()
		close(line.written)
		w.waiting[0] = nil
		w.waiting, w.size = w.waiting[1:], w.size-len(line.text)
		switch {
		case err != nil:
			w.dropped += max(line.dropped, 1)
		case len(w.waiting) == 0:
			w.logMissing()
		}
	}
	w.waiting, w.writing, w.stuck = nil, false, false
}

// write writes one line, and behind one that was torn it begins another.
func (w *logWriter) write(text []byte) error {
	if w.torn {
		text = append([]byte("\n"), text...)
	}
	rest := text
	for len(rest) > 0 {
		n, err := w.to.Write(rest)
		rest = rest[n:]
		if errors.Is(err, syscall.EAGAIN) {
			err = awaitRoom(w.to)
		}
		if err != nil {
			w.torn = w.torn || len(rest) < len(text)
			return err
		}
	}
	w.torn = false
	return nil
}

// awaitRoom is for a file that somebody else has made non-blocking, as Node does
// with a pipe that it got as stdout or stderr.
func awaitRoom(to io.Writer) error {
	file, ok := to.(*os.File)
	if !ok {
		return syscall.EAGAIN
	}
	for {
		_, err := unix.Poll([]unix.PollFd{{Fd: int32(file.Fd()), Events: unix.POLLOUT}}, -1)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
