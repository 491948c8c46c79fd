package cli

import (
	"errors"
	"net"
	"os"
	"path/filepath"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// systemd [FILE] listens as a service manager does, and sets NOTIFY_SOCKET. What it
// hears goes into the file; without one it reads nothing, and its queue is full.
func systemd(ts *testscript.TestScript, _ bool, args []string) {
	dir, err := os.MkdirTemp("", "notify") // a socket's name is short
	ts.Check(err)
	address := &net.UnixAddr{Name: filepath.Join(dir, "s"), Net: "unixgram"}
	conn, err := net.ListenUnixgram("unixgram", address)
	ts.Check(err)
	ts.Defer(func() { _, _ = conn.Close(), os.RemoveAll(dir) })
	ts.Check(os.Chmod(dir, 0o755))
	ts.Check(os.Chmod(address.Name, 0o777))
	ts.Setenv("NOTIFY_SOCKET", address.Name)
	if len(args) == 0 {
		fill(ts, address)
		return
	}
	file, err := os.OpenFile(ts.MkAbs(args[0]), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	ts.Check(err)
	ended := make(chan struct{})
	ts.Defer(func() { _ = conn.Close(); <-ended; _ = file.Close() })
	go func() {
		defer close(ended)
		buffer := make([]byte, 4096)
		for {
			n, err := conn.Read(buffer)
			if err != nil {
				return
			}
			_, _ = file.Write(append(buffer[:n:n], '\n'))
		}
	}()
}

// fill sends until a message finds no room.
func fill(ts *testscript.TestScript, address *net.UnixAddr) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	ts.Check(err)
	defer func() { _ = unix.Close(fd) }()
	for err == nil {
		err = unix.Sendto(fd, []byte("X"), 0, &unix.SockaddrUnix{Name: address.Name})
	}
	if !errors.Is(err, unix.EAGAIN) {
		ts.Fatalf("%v", err)
	}
}
