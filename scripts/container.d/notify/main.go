// Command notify listens as a service manager does, and prints what it is told, a
// line a message:
//
//	notify SOCKET
package main

import (
	"fmt"
	"net"
	"os"
)

func main() {
	if err := listen(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "notify:", err)
		os.Exit(1)
	}
}

func listen(path string) error {
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o777); err != nil {
		return err
	}
	buffer := make([]byte, 4096)
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return err
		}
		fmt.Printf("%q\n", buffer[:n])
	}
}
