package gateway

import (
	"bufio"
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Listener names the sockets that listen on a TCP port in this network
// namespace, by their inodes; empty where there is none. A gateway that restarts
// in place keeps its pid but not its socket (2026.9.6 in a container), so that a
// change tells of a restart without any traffic.
func Listener(port int) (string, error) {
	all, err := sockets(port)
	inodes := make([]string, len(all))
	for i, s := range all {
		inodes[i] = s.inode
	}
	return strings.Join(inodes, " "), err
}

// ListensEverywhere tells whether one alone listens on the port, at all addresses of this
// machine: who is met at one of them is met at each.
func ListensEverywhere(port int) bool {
	all, err := sockets(port)
	return err == nil && len(all) == 1 && all[0].address.IsUnspecified()
}

// socket is one that listens.
type socket struct {
	inode   string
	uid     int
	address netip.Addr // IPv4 where it is both; :: listens for IPv4, too
	port    int
}

func sockets(port int) ([]socket, error) {
	all, err := askListeners(port)
	if err != nil {
		// Not every sandbox answers (gVisor does not). To read the tables costs some
		// 10 ms of CPU, 200 times as much: the kernel walks all of its buckets.
		all, err = readListeners(port)
	}
	return all, err
}

// readListeners looks for them in the kernel's tables.
func readListeners(port int) (all []socket, err error) {
	return tableListeners("/proc/self", port)
}

func tableListeners(process string, port int) (all []socket, err error) {
	for _, path := range []string{process + "/net/tcp", process + "/net/tcp6"} {
		found, err := listeners(path, port)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

func listeners(path string, port int) ([]socket, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return parseListeners(bufio.NewScanner(file), port)
}

// parseListeners reads the kernel's table: the second field is the local address
// and port in hex, the fourth the state (0A listens), the eighth the user, the tenth
// the inode. Port 0 means every port.
func parseListeners(lines *bufio.Scanner, port int) (all []socket, err error) {
	suffix := ":"
	if port != 0 {
		suffix = fmt.Sprintf(":%04X", port)
	}
	for lines.Scan() {
		// Most lines of a busy gateway are its connections: look before splitting.
		if !strings.Contains(lines.Text(), suffix) {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) <= 9 || fields[3] != "0A" {
			continue
		}
		host, at, _ := strings.Cut(fields[1], ":")
		if port != 0 && ":"+at != suffix {
			continue
		}
		address, ok := hexAddress(host)
		number, portErr := strconv.ParseUint(at, 16, 16)
		uid, err := strconv.Atoi(fields[7])
		if !ok || portErr != nil || err != nil {
			return nil, errors.New("the kernel's table of sockets has an unknown form")
		}
		all = append(all, socket{inode: fields[9], uid: uid, address: address, port: int(number)})
	}
	return all, lines.Err()
}

// hexAddress reads 0100007F: words of four bytes, each in this machine's order.
func hexAddress(text string) (netip.Addr, bool) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data)%4 != 0 {
		return netip.Addr{}, false
	}
	for i := 0; i < len(data); i += 4 {
		binary.NativeEndian.PutUint32(data[i:], binary.BigEndian.Uint32(data[i:]))
	}
	address, ok := netip.AddrFromSlice(data)
	return address.Unmap(), ok
}

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

func (w *ListenerEnd) Close() { _ = w.file.Close() }

// askListeners asks the kernel for the sockets that listen on a TCP port, by
// sock_diag(7), which needs no rights.
func askListeners(port int) (all []socket, err error) {
	buffer := make([]byte, diagAnswer)
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		found, err := askFamily(family, port, buffer)
		if err != nil {
			return nil, err
		}
		all = append(all, found...)
	}
	return all, nil
}

// What sock_diag(7) is asked: SOCK_DIAG_BY_FAMILY, with a struct inet_diag_req_v2
// that wants sockets of the state TCP_LISTEN alone.
const (
	diagByFamily = 20
	diagRequest  = 56 // bytes
	// diagAnswer is the most that the kernel puts into one message for a reader of
	// whose buffer it knows nothing yet: a page, or half of it (NLMSG_GOODSIZE).
	diagAnswer  = 8 << 10
	stateListen = 10
)

func diagQuestion(family byte, port int) []byte {
	question := make([]byte, unix.SizeofNlMsghdr+diagRequest)
	binary.NativeEndian.PutUint32(question, uint32(len(question)))
	binary.NativeEndian.PutUint16(question[4:], diagByFamily)
	binary.NativeEndian.PutUint16(question[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	request := question[unix.SizeofNlMsghdr:]
	request[0], request[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(request[4:], 1<<stateListen)
	binary.BigEndian.PutUint16(request[8:], uint16(port)) // the local port
	return question
}

func askFamily(family byte, port int, buffer []byte) (all []socket, err error) {
	socket, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, err
	}
	defer func() { _ = unix.Close(socket) }()
	// The kernel answers at once; a sandbox that does not must not hold us up.
	if err := unix.SetsockoptTimeval(socket, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return nil, err
	}
	if err := unix.Sendto(socket, diagQuestion(family, port), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return nil, err
	}
	for {
		// MSG_TRUNC: how long the message is, not how much of it there was room for.
		n, _, err := unix.Recvfrom(socket, buffer, unix.MSG_TRUNC)
		if err != nil {
			return nil, err
		}
		if n > len(buffer) {
			return nil, errors.New("sock_diag answers too much at once")
		}
		found, done, err := parseDiag(buffer[:n], port)
		if all = append(all, found...); err != nil || done {
			return all, err
		}
	}
}

// parseDiag reads a struct inet_diag_msg of each message: the family is its first
// byte, the state its second; the local port lies at 4 in the network's order, the
// local address at 8, the user at 64, the inode at 68.
func parseDiag(data []byte, port int) (all []socket, done bool, err error) {
	const addressAt, uidAt, inodeAt, size = 8, 64, 68, 72
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return nil, false, err
	}
	for _, message := range messages {
		switch {
		case message.Header.Type == unix.NLMSG_DONE:
			return all, true, nil
		case message.Header.Type == unix.NLMSG_ERROR:
			return nil, false, errors.New("sock_diag is refused")
		case len(message.Data) < size:
			return nil, false, errors.New("sock_diag answers too little")
		case message.Data[1] == stateListen && int(binary.BigEndian.Uint16(message.Data[4:])) == port:
			address := netip.AddrFrom16([16]byte(message.Data[addressAt:]))
			if message.Data[0] == unix.AF_INET {
				address = netip.AddrFrom4([4]byte(message.Data[addressAt:]))
			}
			all = append(all, socket{
				inode:   strconv.FormatUint(uint64(binary.NativeEndian.Uint32(message.Data[inodeAt:])), 10),
				uid:     int(binary.NativeEndian.Uint32(message.Data[uidAt:])),
				address: address.Unmap(),
				port:    port,
			})
		}
	}
	return all, false, nil
}
