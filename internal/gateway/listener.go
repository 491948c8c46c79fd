package gateway

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
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

// socket is one that listens.
type socket struct {
	inode   string
	uid     int
	address netip.Addr // IPv4 where it is both; :: listens for IPv4, too
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
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
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
// the inode.
func parseListeners(lines *bufio.Scanner, port int) (all []socket, err error) {
	suffix := fmt.Sprintf(":%04X", port)
	for lines.Scan() {
		// Most lines of a busy gateway are its connections: look before splitting.
		if !strings.Contains(lines.Text(), suffix) {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) <= 9 || !strings.HasSuffix(fields[1], suffix) || fields[3] != "0A" {
			continue
		}
		address, ok := hexAddress(strings.TrimSuffix(fields[1], suffix))
		uid, err := strconv.Atoi(fields[7])
		if !ok || err != nil {
			return nil, errors.New("the kernel's table of sockets has an unknown form")
		}
		all = append(all, socket{inode: fields[9], uid: uid, address: address})
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
