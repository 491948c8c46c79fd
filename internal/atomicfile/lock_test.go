package atomicfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long something that is sure to come may take.
const patience = time.Minute

// waiters counts those who wait for the lock of a path, by the kernel's own list:
//
//	1: -> FLOCK  ADVISORY  WRITE 4712 fd:01:1835037 0 EOF
func waiters(t *testing.T, path string) (n int) {
	t.Helper()
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		t.Fatal(err)
	}
	locks, err := os.ReadFile("/proc/locks")
	if err != nil {
		t.Fatalf("the kernel does not say who waits for a lock: %v", err)
	}
	for line := range strings.Lines(string(locks)) {
		fields := strings.Fields(line)
		if len(fields) > 6 && fields[1] == "->" && strings.HasSuffix(fields[6], ":"+strconv.FormatUint(stat.Ino, 10)) {
			n++
		}
	}
	return n
}

// waitForWaiters waits until so many wait for the lock of a path.
func waitForWaiters(t *testing.T, path string, n int) {
	t.Helper()
	for end := time.Now().Add(patience); waiters(t, path) < n; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d wait for the lock, not %d", waiters(t, path), n)
		}
	}
}

func TestALockHoldsWhenItsFileIsRemoved(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	lock, err := AcquireInFolder(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if second, err := AcquireInFolder(t.Context(), path, 0); !errors.As(err, new(*LockedError)) {
		second.Release()
		t.Errorf("a second one got in: %v", err)
	}
	if err := lock.Check(); err != nil {
		t.Errorf("it keeps others out, and yet: %v", err)
	}
}

// Who waits for a file that is removed meanwhile gets the lock of nothing.
func TestWhoWaitedForARemovedLockFileLocksTheOneThatIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan *Lock, 1)
	go func() {
		second, err := newWaiter(path, patience).acquire(t.Context(), lockFile(path))
		if err != nil {
			t.Error(err)
		}
		got <- second
	}()
	waitForWaiters(t, path, 1)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	first.Release()
	second := <-got
	defer second.Release()
	if third, err := Acquire(t.Context(), path, 0); !errors.As(err, new(*LockedError)) {
		third.Release()
		t.Errorf("a third one got in: %v", err)
	}
}

func TestALockSaysWhenItKeepsNobodyOutAnyMore(t *testing.T) {
	for name, replace := range map[string]func(dir string) error{
		"moved":    func(dir string) error { return os.Rename(dir, dir+".old") },
		"removed":  os.RemoveAll,
		"replaced": func(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "bootstrap")
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			lock, err := AcquireInFolder(t.Context(), filepath.Join(dir, "lock"), 0)
			if err != nil {
				t.Fatal(err)
			}
			defer lock.Release()
			if err := errors.Join(lock.Check(), replace(dir)); err != nil {
				t.Fatal(err)
			}
			if err := lock.Check(); !errors.As(err, new(*ReplacedError)) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// NFS cannot lock a directory: flock is a byte range lock there, which takes a
// descriptor that can write.
func TestWhereFoldersCannotBeLockedTheFileHasToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	acquire := func() (*Lock, error) {
		w := newWaiter(path, 0)
		w.flock = func(fd, how int) error {
			var stat unix.Stat_t
			if err := unix.Fstat(fd, &stat); err != nil || stat.Mode&unix.S_IFMT == unix.S_IFDIR {
				return unix.EBADF
			}
			return flock(fd, how)
		}
		return w.acquire(t.Context(), lockFolder(filepath.Dir(path)), lockFile(path))
	}
	lock, err := acquire()
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Release()
	if second, err := acquire(); !errors.As(err, new(*LockedError)) {
		second.Release()
		t.Errorf("a second one got in: %v", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := lock.Check(); !errors.As(err, new(*ReplacedError)) {
		t.Errorf("the file is gone, and yet: %v", err)
	}
}

func TestAMissingFolderIsNotMadeAFile(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bootstrap")
	if _, err := AcquireInFolder(t.Context(), filepath.Join(dir, "lock"), 0); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was made: %v", err)
	}
}

// All who wait get their turn, one at a time.
func TestAQueueForALockMovesToItsEnd(t *testing.T) {
	const many = 200
	path := filepath.Join(t.TempDir(), "lock")
	first, err := AcquireInFolder(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	inside := make(chan int, 1) // has room for one
	for i := range many {
		group.Go(func() {
			lock, err := AcquireInFolder(t.Context(), path, patience)
			if err != nil {
				t.Errorf("number %d: %v", i, err)
				return
			}
			select {
			case inside <- i:
			default:
				t.Error("two are inside at once")
			}
			<-inside
			lock.Release()
		})
	}
	waitForWaiters(t, filepath.Dir(path), many)
	first.Release()
	group.Wait()
}

// Who gave up must not get the lock later, and keep it.
func TestWhoGaveUpHoldsNobodyUp(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := AcquireInFolder(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if _, err := AcquireInFolder(t.Context(), path, time.Millisecond); !errors.As(err, new(*LockedError)) {
			t.Fatalf("got %v", err)
		}
	}
	first.Release()
	next, err := AcquireInFolder(t.Context(), path, patience)
	if err != nil {
		t.Fatal(err)
	}
	next.Release()
}

// The watcher of run asks each minute for a memory that "approve --watch" may have for
// months.
func TestWhoGaveUpAFileLeavesNothingBehind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := Acquire(t.Context(), path, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Release()
	for range 20 {
		if _, err := Acquire(t.Context(), path, time.Millisecond); !errors.As(err, new(*LockedError)) {
			t.Fatalf("got %v", err)
		}
	}
	open := 0
	descriptors, err := filepath.Glob("/proc/self/fd/*")
	for _, descriptor := range descriptors {
		if to, err := os.Readlink(descriptor); err == nil && to == path {
			open++
		}
	}
	if err != nil || open != 1 {
		t.Errorf("%v, it is open %d times", err, open)
	}
}

func TestALockedErrorSaysWhatIsTrue(t *testing.T) {
	for want, e := range map[string]*LockedError{
		"another bootstrap has held /x for 30s":                           {Path: "/x", Timeout: 30 * time.Second, PID: 7},
		"/x was never free for 30s: one bootstrap after another has held": {Path: "/x", Timeout: 30 * time.Second, PID: 7, Passed: true},
	} {
		if got := fmt.Sprint(e); !strings.Contains(got, want) {
			t.Errorf("got %q", got)
		}
		if strings.Contains(e.Hint(), "pid 7") == e.Passed {
			t.Errorf("hint %q", e.Hint())
		}
	}
}

// The kernel takes milliseconds to list its locks.
func TestALockThatIsFreeIsTakenWithoutAListOfLocks(t *testing.T) {
	w := newWaiter(filepath.Join(t.TempDir(), "lock"), patience)
	w.holder = func([]target) int {
		t.Error("the kernel was asked who has the lock")
		return 0
	}
	lock, err := w.acquire(t.Context(), lockFile(w.path))
	if err != nil {
		t.Fatal(err)
	}
	lock.Release()
}
