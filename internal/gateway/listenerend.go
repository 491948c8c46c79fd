package gateway

import (
	"context"
	"errors"
	"net"
	"os"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ListenerEnd tells when a socket that listens on a TCP port is gone: the kernel
// says so, so that nobody has to look. sock_diag(7) calls it a broadcast of destroyed
// sockets; like its answers it needs no rights, and it makes no traffic.
type ListenerEnd struct{ file *os.File }

// The multicast groups of destroyed TCP sockets (linux/sock_diag.h), as bits.
const destroyGroups = 1<<0 | 1<<2 // SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET6_TCP_DESTROY

// WatchListenerEnd watches a port. It is an error where the kernel, or a sandbox in
// its place, does not tell: that is tried with a listener of our own.
func WatchListenerEnd(ctx context.Context, port int) (*ListenerEnd, error) {
	if err := tryListenerEnd(ctx); err != nil {
		return nil, err
	}
	return watchEnd(port)
}

// endPatience is how long the kernel may take to tell of our own.
const endPatience = time.Second

func tryListenerEnd(ctx context.Context) error {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	address, _ := listener.Addr().(*net.TCPAddr)
	watch, err := watchEnd(address.Port)
	if err != nil {
		return err
	}
	defer watch.Close()
	if err := listener.Close(); err != nil {
		return err
	}
	if ended, err := watch.Wait(ctx, endPatience); err != nil || !ended {
		return errors.Join(errors.New("the kernel does not tell of sockets that are gone"), err)
	}
	return nil
}

func watchEnd(port int) (*ListenerEnd, error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	// The filter first: without it each connection that ends would be told.
	err = setFilter(socket, endFilter(port))
	if err == nil {
		err = unix.Bind(socket, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: destroyGroups})
	}
	if err != nil {
		_ = unix.Close(socket)
		return nil, err
	}
	return &ListenerEnd{os.NewFile(uintptr(socket), "sock_diag")}, nil
}

// endFilter lets through what is said of a socket with this local port and no
// remote one: a listener's. The ports lie at 4 and at 6 in a struct inet_diag_msg,
// behind the header of the message.
func endFilter(port int) []unix.SockFilter {
	const local, remote = unix.SizeofNlMsghdr + 4, unix.SizeofNlMsghdr + 6
	return []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: local},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 3, K: uint32(port)},
		{Code: unix.BPF_LD | unix.BPF_H | unix.BPF_ABS, K: remote},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: 0},
		{Code: unix.BPF_RET | unix.BPF_K, K: 1 << 16},
		{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	}
}

func setFilter(socket int, program []unix.SockFilter) error {
	return unix.SetsockoptSockFprog(socket, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER,
		&unix.SockFprog{Len: uint16(len(program)), Filter: unsafe.SliceData(program)})
}

// Wait waits until a listener on the port is gone, at most for limit: false where
// none went, or where the context ended.
func (w *ListenerEnd) Wait(ctx context.Context, limit time.Duration) (ended bool, err error) {
	if err := w.file.SetReadDeadline(time.Now().Add(limit)); err != nil {
		return false, err
	}
	stop := context.AfterFunc(ctx, func() { _ = w.file.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var message [512]byte
	_, err = w.file.Read(message[:])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return false, nil
	case errors.Is(err, unix.ENOBUFS): // some were lost
		return true, nil
	}
	return err == nil, err
}

// Close ends it.
func (w *ListenerEnd) Close() { _ = w.file.Close() }
