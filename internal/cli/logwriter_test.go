package cli

import (
	"bufio"
	"bytes"
	"fmt"
	"log"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fullPipe is a pipe that takes not one byte more.
func fullPipe(t *testing.T) (reader, writer *os.File) {
	t.Helper()
	var fds [2]int
	if err := unix.Pipe2(fds[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	size, err := unix.FcntlInt(uintptr(fds[1]), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fds[1], bytes.Repeat([]byte("\n"), size)); err != nil {
		t.Fatal(err)
	}
	reader, writer = os.NewFile(uintptr(fds[0]), "reader"), os.NewFile(uintptr(fds[1]), "writer")
	t.Cleanup(func() { _, _ = reader.Close(), writer.Close() })
	return reader, writer
}

func counted(w *logWriter) *logWriter {
	w.countBy(func(dropped int) []byte { return fmt.Appendf(nil, "missing %d\n", dropped) })
	return w
}

// linesFrom reads what is not empty, up to the line that is the last one.
func linesFrom(t *testing.T, reader *os.File, last string) (lines []string) {
	t.Helper()
	for scanner := bufio.NewScanner(reader); scanner.Scan(); {
		if scanner.Text() != "" {
			lines = append(lines, scanner.Text())
		}
		if scanner.Text() == last {
			return lines
		}
	}
	t.Fatalf("it has ended without %q: %q", last, lines)
	return nil
}

func TestLinesWithoutAReaderWaitAreDroppedAndCounted(t *testing.T) {
	const all, fit = 1000, 10
	reader, writer := fullPipe(t)
	log := counted(newLogWriter(writer))
	log.patience = time.Millisecond
	log.room = fit * len("line 0000\n")
	for i := range all {
		if n, err := fmt.Fprintf(log, "line %04d\n", i); n != len("line 0000\n") || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
	}
	log.patience = time.Minute
	log.flushLater(t)
	missing := fmt.Sprintf("missing %d", all-fit)
	got := linesFrom(t, reader, missing)
	if len(got) != fit+1 || got[0] != "line 0000" || got[fit-1] != fmt.Sprintf("line %04d", fit-1) {
		t.Errorf("got %q", got)
	}
	// The reader is back, and all is as before.
	_, _ = log.Write([]byte("again\n"))
	if got := linesFrom(t, reader, "again"); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}

// flushLater fails a test that ends while something still waits.
func (w *logWriter) flushLater(t *testing.T) {
	t.Cleanup(func() {
		w.flush()
		w.mu.Lock()
		defer w.mu.Unlock()
		if len(w.waiting) > 0 {
			t.Errorf("%d lines still wait", len(w.waiting))
		}
	})
}

// The count stands where the lines would have stood.
func TestTheCountStandsWhereTheLinesAreMissing(t *testing.T) {
	reader, writer := fullPipe(t)
	log := counted(newLogWriter(writer))
	log.patience = time.Millisecond
	log.room = len("first\n")
	for _, line := range []string{"first\n", "lost\n", "lost\n"} {
		_, _ = log.Write([]byte(line))
	}
	log.mu.Lock()
	log.room = 100
	log.mu.Unlock()
	_, _ = log.Write([]byte("last\n"))
	log.patience = time.Minute
	log.flushLater(t)
	if got := strings.Join(linesFrom(t, reader, "last"), ", "); got != "first, missing 2, last" {
		t.Errorf("got %q", got)
	}
}

// A disk that was full for a while: what was written in part is a line of its own.
func TestATornLineSwallowsNoOther(t *testing.T) {
	disk := &fullDisk{room: 3}
	log := counted(newLogWriter(disk))
	log.patience = time.Minute
	for _, line := range []string{"torn\n", "lost\n"} {
		_, _ = log.Write([]byte(line))
	}
	disk.room = 1000
	_, _ = log.Write([]byte("whole\n"))
	if got := disk.String(); got != "tor\nmissing 2\nwhole\n" {
		t.Errorf("got %q", got)
	}
}

type fullDisk struct {
	bytes.Buffer
	room int
}

func (d *fullDisk) Write(text []byte) (int, error) {
	n := min(len(text), d.room)
	d.room -= n
	_, _ = d.Buffer.Write(text[:n])
	if n < len(text) {
		return n, syscall.ENOSPC
	}
	return n, nil
}

// Node makes a pipe that it got as stderr non-blocking, for us as well.
func TestAPipeThatSomebodyMadeNonBlockingLosesNothing(t *testing.T) {
	reader, writer := fullPipe(t)
	if err := unix.SetNonblock(int(writer.Fd()), true); err != nil {
		t.Fatal(err)
	}
	log := counted(newLogWriter(writer))
	log.patience = time.Millisecond
	_, _ = log.Write([]byte(strings.Repeat("x", 10000) + "\n"))
	_, _ = log.Write([]byte("last\n"))
	log.patience = time.Minute
	log.flushLater(t)
	if got := linesFrom(t, reader, "last"); len(got) != 2 || len(got[0]) != 10000 {
		t.Errorf("got %d lines", len(got))
	}
}

// What http.Server says goes the same way.
func TestTheStandardLoggerWritesThroughTheLog(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := Main([]string{"bootstrap", "version"}, nil, &stdout, &stderr); code != 0 {
		t.Fatal(code)
	}
	defer log.SetOutput(os.Stderr)
	log.Print("http: a handler has panicked")
	if !strings.Contains(stderr.String(), "http: a handler has panicked") {
		t.Errorf("got %q", stderr.String())
	}
}

func TestLinesOfManyGoroutinesStayWhole(t *testing.T) {
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	log := newLogWriter(writer)
	log.patience = time.Minute
	const writers, each = 20, 50
	done := make(chan struct{})
	for range writers {
		go func() {
			for range each {
				_, _ = log.Write([]byte(strings.Repeat("y", 99) + "\n"))
			}
			done <- struct{}{}
		}()
	}
	go func() {
		for range writers {
			<-done
		}
		_ = writer.Close()
	}()
	lines := 0
	for scanner := bufio.NewScanner(reader); scanner.Scan(); lines++ {
		if len(scanner.Text()) != 99 {
			t.Fatalf("a line of %d bytes", len(scanner.Text()))
		}
	}
	if lines != writers*each {
		t.Errorf("%d lines", lines)
	}
}
