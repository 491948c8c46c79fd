package gateway

import (
	"bufio"
	"errors"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

func TestAListenerIsToldFromALaterOneOnTheSamePort(t *testing.T) {
	first, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := first.Addr().(*net.TCPAddr).Port
	before, err := Listener(port)
	if err != nil || before == "" {
		t.Fatalf("while it listens: %q, %v", before, err)
	}
	if again, err := Listener(port); err != nil || again != before {
		t.Errorf("nothing happened: %q, then %q, %v", before, again, err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	if none, err := Listener(port); err != nil || none != "" {
		t.Errorf("closed: %q, %v", none, err)
	}
	second, err := net.Listen("tcp", first.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = second.Close() }()
	if after, err := Listener(port); err != nil || after == "" || after == before {
		t.Errorf("another one: %q, before %q, %v", after, before, err)
	}
}

func TestBothWaysToFindAListenerAgree(t *testing.T) {
	for _, address := range []string{"127.0.0.1:0", "[::1]:0", ":0", "127.2.3.4:0", "[::ffff:127.0.0.5]:0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		port := listener.Addr().(*net.TCPAddr).Port
		// A connection has the same local port, and does not count.
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		asked, err := askListeners(port)
		if err != nil {
			t.Fatal(err)
		}
		read, err := readListeners(port)
		if err != nil || len(asked) != 1 || !slices.Equal(asked, read) || asked[0].uid != os.Geteuid() ||
			asked[0].address != listener.Addr().(*net.TCPAddr).AddrPort().Addr().Unmap() {
			t.Errorf("%s: asked %v, read %v, %v", address, asked, read, err)
		}
		_, _ = client.Close(), listener.Close()
	}
}

func BenchmarkAskListeners(b *testing.B) {
	for b.Loop() {
		_, _ = askListeners(1)
	}
}

func BenchmarkReadListeners(b *testing.B) {
	for b.Loop() {
		_, _ = readListeners(1)
	}
}

func FuzzParseDiag(f *testing.F) {
	f.Add(make([]byte, 88), 0)
	f.Add(append([]byte{88, 0, 0, 0, 20, 0, 2, 0}, make([]byte, 80)...), 0)
	f.Fuzz(func(t *testing.T, data []byte, port int) {
		all, _, err := parseDiag(data, port)
		if err != nil && all != nil {
			t.Errorf("both %v and %v", all, err)
		}
	})
}

func FuzzParseListeners(f *testing.F) {
	f.Add("  0: 0100007F:4965 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1 0 100 0 0 10 0\n", 18789)
	f.Fuzz(func(t *testing.T, table string, port int) {
		all, _ := parseListeners(bufio.NewScanner(strings.NewReader(table)), port)
		for _, s := range all {
			if strings.ContainsAny(s.inode, " \t\n") || !s.address.IsValid() {
				t.Errorf("a socket %+v", s)
			}
		}
	})
}

func TestWhoListensEverywhereDoesSoAlone(t *testing.T) {
	for address, want := range map[string]bool{"127.0.0.1:0": false, "0.0.0.0:0": true, ":0": true} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		if got := ListensEverywhere(listener.Addr().(*net.TCPAddr).Port); got != want {
			t.Errorf("%s: %v", address, got)
		}
		listener.Close()
	}
	shared := net.ListenConfig{Control: func(_, _ string, conn syscall.RawConn) (err error) {
		controlled := conn.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
		return errors.Join(controlled, err)
	}}
	first, err := shared.Listen(t.Context(), "tcp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	port := first.Addr().(*net.TCPAddr).Port
	second, err := shared.Listen(t.Context(), "tcp4", "0.0.0.0:"+strconv.Itoa(port))
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	if ListensEverywhere(port) {
		t.Error("beside another one")
	}
}
