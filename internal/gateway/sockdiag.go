package gateway

import (
	"encoding/binary"
	"errors"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// askListeners asks the kernel for the sockets that listen on a TCP port, by
// sock_diag(7), which needs no rights.
func askListeners(port int) (inodes []string, err error) {
	for _, family := range []byte{unix.AF_INET, unix.AF_INET6} {
		found, err := askFamily(family, port)
		if err != nil {
			return nil, err
		}
		inodes = append(inodes, found...)
	}
	return inodes, nil
}

// What sock_diag(7) is asked: SOCK_DIAG_BY_FAMILY, with a struct inet_diag_req_v2
// that wants sockets of the state TCP_LISTEN alone.
const (
	diagByFamily = 20
	diagRequest  = 56 // bytes
	stateListen  = 10
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

func askFamily(family byte, port int) (inodes []string, err error) {
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
	for buffer := make([]byte, 32<<10); ; {
		n, _, err := unix.Recvfrom(socket, buffer, 0)
		if err != nil {
			return nil, err
		}
		found, done, err := parseDiag(buffer[:n], port)
		if inodes = append(inodes, found...); err != nil || done {
			return inodes, err
		}
	}
}

// parseDiag reads a struct inet_diag_msg of each message: the state is its second
// byte, the local port lies at 4 in the network's order, the inode at 68.
func parseDiag(data []byte, port int) (inodes []string, done bool, err error) {
	const inodeAt, size = 68, 72
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return nil, false, err
	}
	for _, message := range messages {
		switch {
		case message.Header.Type == unix.NLMSG_DONE:
			return inodes, true, nil
		case message.Header.Type == unix.NLMSG_ERROR:
			return nil, false, errors.New("sock_diag is refused")
		case len(message.Data) < size:
			return nil, false, errors.New("sock_diag answers too little")
		case message.Data[1] == stateListen && int(binary.BigEndian.Uint16(message.Data[4:])) == port:
			inodes = append(inodes, strconv.FormatUint(uint64(binary.NativeEndian.Uint32(message.Data[inodeAt:])), 10))
		}
	}
	return inodes, false, nil
}
