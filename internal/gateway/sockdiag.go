package gateway

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

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
			})
		}
	}
	return all, false, nil
}
