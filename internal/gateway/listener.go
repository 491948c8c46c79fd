package gateway

import (
	"bufio"
	"fmt"
	"os"
	"strings"
)

// Listener names the sockets that listen on a TCP port in this network
// namespace, by their inodes; empty where there is none. A gateway that restarts
// in place keeps its pid but not its socket (2026.9.6 in a container), so that a
// change tells of a restart without any traffic.
func Listener(port int) (string, error) {
	inodes, err := askListeners(port)
	if err != nil {
		// Not every sandbox answers (gVisor does not). To read the tables costs some
		// 10 ms of CPU, 200 times as much: the kernel walks all of its buckets.
		inodes, err = readListeners(port)
	}
	return strings.Join(inodes, " "), err
}

// readListeners looks for them in the kernel's tables.
func readListeners(port int) (inodes []string, err error) {
	for _, path := range []string{"/proc/self/net/tcp", "/proc/self/net/tcp6"} {
		found, err := listeners(path, port)
		if err != nil && !os.IsNotExist(err) {
			return nil, err
		}
		inodes = append(inodes, found...)
	}
	return inodes, nil
}

func listeners(path string, port int) ([]string, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }()
	return parseListeners(bufio.NewScanner(file), port)
}

// parseListeners reads the kernel's table: the second field is the local
// address and port in hex, the fourth the state (0A listens), the tenth the
// inode.
func parseListeners(lines *bufio.Scanner, port int) (inodes []string, err error) {
	suffix := fmt.Sprintf(":%04X", port)
	for lines.Scan() {
		// Most lines of a busy gateway are its connections: look before splitting.
		if !strings.Contains(lines.Text(), suffix) {
			continue
		}
		fields := strings.Fields(lines.Text())
		if len(fields) > 9 && strings.HasSuffix(fields[1], suffix) && fields[3] == "0A" {
			inodes = append(inodes, fields[9])
		}
	}
	return inodes, lines.Err()
}
