package health

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// liveness only ends a test that has failed anyway.
const liveness = time.Minute

// manager is a socket such as systemd's, named by NOTIFY_SOCKET.
func manager(t *testing.T) *net.UnixConn {
	t.Helper()
	dir, err := os.MkdirTemp("", "notify") // a socket's name is short
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "")
	return conn
}

// hear reads messages until all that have come hold the text.
func hear(t *testing.T, conn *net.UnixConn, text string) (heard string) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(liveness)); err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 4096)
	for !strings.Contains(heard, text) {
		n, err := conn.Read(buffer)
		if err != nil {
			t.Fatalf("%v; heard %q", err, heard)
		}
		heard += string(buffer[:n]) + "\n"
	}
	return heard
}

// fill sends to the manager until a message finds no room.
func fill(t *testing.T) {
	t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	address := &unix.SockaddrUnix{Name: os.Getenv("NOTIFY_SOCKET")}
	for err == nil {
		err = unix.Sendto(fd, []byte("X"), 0, address)
	}
	if !errors.Is(err, unix.EAGAIN) {
		t.Fatal(err)
	}
}

func unheard(t *testing.T) func(error) {
	return func(err error) { t.Errorf("not heard: %v", err) }
}

func TestSystemdHearsWhatIsSaid(t *testing.T) {
	conn := manager(t)
	s := NewSystemd(unheard(t))
	s.Status("the gateway starts")
	if heard := hear(t, conn, "STATUS=the gateway starts\n"); strings.Contains(heard, "READY") {
		t.Errorf("heard %q", heard)
	}
	s.Ready()
	s.Status("proven")
	if heard := hear(t, conn, "STATUS=proven\n") + "\n"; !strings.Contains(heard, "READY=1\n") {
		t.Errorf("heard %q", heard)
	}
	s.Stopping()
	s.Close(liveness)
	hear(t, conn, "STOPPING=1\n")
}

// A gateway's words are in the status: they must not be able to say READY=1, nor be
// so long that systemd drops the whole message.
func TestAStatusIsOneLineOfBoundedLength(t *testing.T) {
	conn := manager(t)
	s := NewSystemd(unheard(t))
	s.Status("refused\nREADY=1\r\x00\xff" + strings.Repeat("ü", 5000))
	s.Stopping()
	s.Close(liveness)
	heard := hear(t, conn, "STOPPING=1")
	for each := range strings.Lines(heard) {
		if strings.HasPrefix(each, "READY") || len(each) > 2000 {
			t.Errorf("a line is %.60q, %d bytes", each, len(each))
		}
	}
	if !strings.Contains(heard, "STATUS=refused READY=1  ?ü") {
		t.Errorf("heard %.80q", heard)
	}
}

func TestAManagerThatDoesNotReadKeepsNobodyWaiting(t *testing.T) {
	conn := manager(t)
	fill(t)
	s := NewSystemd(unheard(t))
	s.Status("still here")
	s.Ready()
	s.Close(0)
	// It was not lost, either: the manager reads at last.
	hear(t, conn, "READY=1")
	<-s.ended
}

func TestASocketThatIsNotThereIsReportedOnce(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "none"))
	t.Setenv("WATCHDOG_USEC", "soon")
	var failures atomic.Int32
	s := NewSystemd(func(error) { failures.Add(1) })
	for range 10 {
		s.Status("hello?")
	}
	s.Close(liveness)
	if failures.Load() != 1 {
		t.Errorf("%d reports", failures.Load())
	}
}

func TestTheWatchdogIsFed(t *testing.T) {
	conn := manager(t)
	t.Setenv("WATCHDOG_USEC", "20000")
	s := NewSystemd(unheard(t))
	hear(t, conn, "WATCHDOG=1")
	hear(t, conn, "WATCHDOG=1")
	s.Close(liveness)
}

func TestNobodyToTellIsFine(t *testing.T) {
	var s *Systemd
	s.Status("")
	s.Ready()
	s.Stopping()
	s.Close(0)
}
