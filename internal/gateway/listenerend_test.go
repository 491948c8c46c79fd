package gateway

import (
	"context"
	"errors"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// endless is longer than any test: who waits so long has missed something.
const endless = time.Hour

func listen(t *testing.T, address string) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func watch(t *testing.T, port int) *ListenerEnd {
	t.Helper()
	w, err := watchEnd(port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.Close)
	return w
}

func TestTheEndOfAListenerIsTold(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "0.0.0.0", "[::1]", "[::]"} {
		t.Run(host, func(t *testing.T) {
			first, err := net.Listen("tcp", host+":0")
			if errors.Is(err, unix.EADDRNOTAVAIL) || errors.Is(err, unix.EAFNOSUPPORT) {
				t.Skipf("skipped: this machine has no IPv6: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			address, _ := first.Addr().(*net.TCPAddr)
			w := watch(t, address.Port)
			for range 3 { // one watch sees one after the other
				if err := first.Close(); err != nil {
					t.Fatal(err)
				}
				if ended, err := w.Wait(t.Context(), endless); !ended || err != nil {
					t.Fatalf("got %v, %v", ended, err)
				}
				first = listen(t, first.Addr().String())
			}
		})
	}
}

func TestNothingElseIsTold(t *testing.T) {
	listener, other := listen(t, "127.0.0.1:0"), listen(t, "127.0.0.1:0")
	address, _ := listener.Addr().(*net.TCPAddr)
	w := watch(t, address.Port)
	for range 10 { // connections to it, which end
		client, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		server, err := listener.Accept()
		if err != nil {
			t.Fatal(err)
		}
		_ = server.Close()
		_ = client.Close()
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	if ended, err := w.Wait(t.Context(), time.Second); ended || err != nil {
		t.Errorf("got %v, %v", ended, err)
	}
}

func TestAWaitEndsWithItsContext(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	address, _ := listener.Addr().(*net.TCPAddr)
	w := watch(t, address.Port)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if ended, err := w.Wait(ctx, endless); ended || err != nil {
		t.Errorf("got %v, %v", ended, err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if ended, err := w.Wait(t.Context(), endless); !ended || err != nil { // it can be asked again
		t.Errorf("afterwards: %v, %v", ended, err)
	}
}

// A poll allocated 64 kB, so that an idle supervisor grew by two megabytes a minute
// until its garbage was collected.
func TestALookAtAListenerAllocatesLittle(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	address, _ := listener.Addr().(*net.TCPAddr)
	if _, err := askListeners(address.Port); err != nil { // what is made once
		t.Fatal(err)
	}
	const looks = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range looks {
		if _, err := askListeners(address.Port); err != nil {
			t.Fatal(err)
		}
	}
	runtime.ReadMemStats(&after)
	if bytes := (after.TotalAlloc - before.TotalAlloc) / looks; bytes > 12<<10 {
		t.Errorf("%d bytes a look", bytes)
	}
}
