package bridge

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/shell"
)

// Listener is a place where the bridge answers.
type Listener struct {
	net.Listener
	// name is the only client served here; empty where the path names it.
	name string
	// socket is the path of a Unix socket, made its file: another one that lies there
	// later is not ours, whoever owns it.
	socket   string
	made     file
	rejected func(remote, reason string)
}

// ExposedError says that other machines could reach a bridge without a token.
type ExposedError struct{ Address string }

func (e *ExposedError) Error() string {
	return "other machines can reach " + e.Address + ", so the bridge wants a token there"
}

func (e *ExposedError) Hint() string {
	return "--bridge-token-file FILE, or listen on 127.0.0.1 or on unix:PATH"
}

// ListenError says that an address cannot be had.
type ListenError struct {
	Where string
	Err   error
}

func (e *ListenError) Error() string { return fmt.Sprintf("cannot listen on %s: %v", e.Where, e.Err) }
func (e *ListenError) Unwrap() error { return e.Err }

// Hint is what to do about it; empty where nothing sensible can be said.
func (e *ListenError) Hint() string {
	path, socket := strings.CutPrefix(e.Where, "unix:")
	switch {
	case errors.Is(e.Err, syscall.EADDRINUSE) && socket:
		return "a bridge listens there already, or a file of another kind is in the way: stop or move it, or choose another path"
	case errors.Is(e.Err, syscall.EADDRINUSE):
		return "stop what listens there (ss -ltnp), or choose another port"
	case errors.Is(e.Err, fs.ErrNotExist):
		return "make its directory first, for the bridge's user alone: mkdir -m 0700 " + shell.Quote(filepath.Dir(path))
	case errors.Is(e.Err, syscall.EINVAL) && socket:
		return "choose a shorter path: a socket's has at most 107 bytes"
	case errors.Is(e.Err, fs.ErrPermission) && socket:
		return "choose a directory that this user can write"
	case errors.Is(e.Err, fs.ErrPermission):
		return "choose a port above 1023"
	}
	return ""
}

// Listen opens HOST:PORT, :PORT or PORT (the latter two on loopback), or
// unix:PATH. A Unix socket serves one client, named by the file's name without
// its ending: unix:/run/bridge/agent-1.sock serves agent-1.
func Listen(where string) (*Listener, error) {
	if path, ok := strings.CutPrefix(where, "unix:"); ok {
		return listenUnix(path)
	}
	host, port, err := net.SplitHostPort(where)
	if err != nil {
		host, port = "", where
	}
	l, err := net.Listen("tcp", net.JoinHostPort(cmp.Or(host, "127.0.0.1"), port))
	if err != nil {
		return nil, &ListenError{Where: where, Err: err}
	}
	return &Listener{Listener: l}, nil
}

func listenUnix(path string) (*Listener, error) {
	base := filepath.Base(path)
	name := strings.TrimSuffix(base, filepath.Ext(base))
	if !seed.ValidName(name) {
		return nil, fmt.Errorf("cannot listen on unix:%s: the file's name is the client's, such as agent-1.sock", path)
	}
	l, err := listenPrivate(path)
	if errors.Is(err, syscall.EADDRINUSE) && abandoned(path) {
		if err = os.Remove(path); err == nil {
			l, err = listenPrivate(path)
		}
	}
	if err != nil {
		return nil, &ListenError{Where: "unix:" + path, Err: err}
	}
	made, owner, err := socketFile(path)
	if err == nil && owner != os.Geteuid() {
		err = errors.New("somebody has put another socket there at this moment")
	}
	if err != nil {
		_ = l.Close()
		return nil, &ListenError{Where: "unix:" + path, Err: err}
	}
	return &Listener{Listener: l, name: name, socket: path, made: made}, nil
}

// listenPrivate makes a socket of the mode 0600, from its first moment on: Linux
// gives the file the mode of the socket that is bound. To change it afterwards, by
// its path, could hit another file.
func listenPrivate(path string) (net.Listener, error) {
	private := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) (err error) {
		controlErr := c.Control(func(fd uintptr) { err = unix.Fchmod(int(fd), 0o600) })
		return errors.Join(controlErr, err)
	}}
	return private.Listen(context.Background(), "unix", path)
}

// file is one file, wherever it is moved.
type file struct{ device, inode uint64 }

// socketFile is the socket at a path, and its owner.
func socketFile(path string) (made file, owner int, err error) {
	var stat unix.Stat_t
	if err := unix.Lstat(path, &stat); err != nil {
		return file{}, 0, err
	}
	if stat.Mode&unix.S_IFMT != unix.S_IFSOCK {
		return file{}, 0, errors.New("it is no socket")
	}
	return file{uint64(stat.Dev), stat.Ino}, int(stat.Uid), nil
}

// abandoned tells whether a socket was left behind by a bridge that is gone.
func abandoned(path string) bool {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != fs.ModeSocket {
		return false
	}
	conn, err := net.Dial("unix", path)
	if err == nil {
		_ = conn.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// Address is where it listens, as a person writes it.
func (l *Listener) Address() string {
	if l.socket != "" {
		return "unix:" + l.socket
	}
	return l.Addr().String()
}

// Local tells whether only this machine can reach it.
func (l *Listener) Local() bool {
	tcp, ok := l.Addr().(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}

// Accept waits for the next client that may connect.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if l.socket == "" {
			return lostConn{conn}, nil
		}
		remote, err := l.checkPeer(conn)
		if err == nil {
			return peerConn{lostConn{conn}, remote}, nil
		}
		_ = conn.Close()
		if l.rejected != nil {
			l.rejected(remote, err.Error())
		}
	}
}

// checkPeer lets in the bridge's own user, root, and whoever owns the socket:
// an operator hands a socket to another user by chown.
func (l *Listener) checkPeer(conn net.Conn) (remote string, err error) {
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return "", err
	}
	var peer *unix.Ucred
	controlErr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err = errors.Join(controlErr, err); err != nil {
		return "", fmt.Errorf("cannot tell who connects: %w", err)
	}
	remote = fmt.Sprintf("uid %d, pid %d", peer.Uid, peer.Pid)
	if peer.Uid == 0 || int(peer.Uid) == os.Geteuid() {
		return remote, nil
	}
	if there, owner, err := socketFile(l.socket); err != nil || there != l.made || owner != int(peer.Uid) {
		return remote, errors.New("this user may not use the socket of " + l.name + ": only its owner, the bridge's user and root may")
	}
	return remote, nil
}

// lostConn reports a connection that just ended as [protocol.BrokenOff].
type lostConn struct{ net.Conn }

func (c lostConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, protocol.BrokenOff(err)
}

// peerConn knows who is at the other end of a Unix socket.
type peerConn struct {
	lostConn
	peer string
}

func (c peerConn) RemoteAddr() net.Addr { return peerAddr(c.peer) }

type peerAddr string

func (peerAddr) Network() string  { return "unix" }
func (a peerAddr) String() string { return string(a) }
