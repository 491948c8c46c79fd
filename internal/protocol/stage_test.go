package protocol

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/coder/websocket"
)

// timeIsUp is a context whose deadline comes when a test says so.
type timeIsUp struct {
	context.Context
	once sync.Once
	done chan struct{}
}

func newTimeIsUp() *timeIsUp {
	return &timeIsUp{Context: context.Background(), done: make(chan struct{})}
}

func (c *timeIsUp) now()                  { c.once.Do(func() { close(c.done) }) }
func (c *timeIsUp) Done() <-chan struct{} { return c.done }
func (c *timeIsUp) Err() error {
	select {
	case <-c.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// fullListener is an address that answers no connection: its queue is full.
func fullListener(t *testing.T) string {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(fd, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	address := (&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: bound.(*syscall.SockaddrInet4).Port}).String()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return address
}

// silentListener takes connections and says nothing on them.
func silentListener(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

// Seen in a container network whose packets went nowhere: ten minutes of "context
// deadline exceeded", which tells nobody whether the name, the network or the
// gateway is at fault.
func TestATimeoutSaysWhatWasWaitedFor(t *testing.T) {
	full, silent := fullListener(t), silentListener(t)
	resolver := net.DefaultResolver
	t.Cleanup(func() { net.DefaultResolver = resolver })
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}

	for name, try := range map[string]struct {
		url, want string
		at        func(*timeIsUp) *httptrace.ClientTrace
	}{
		"name": {"ws://gateway.example:1", `no answer in time to the look-up of the name "gateway.example"`, func(up *timeIsUp) *httptrace.ClientTrace {
			return &httptrace.ClientTrace{DNSStart: func(httptrace.DNSStartInfo) { up.now() }}
		}},
		"connection": {"ws://" + full, "no answer in time from " + full, func(up *timeIsUp) *httptrace.ClientTrace {
			return &httptrace.ClientTrace{ConnectStart: func(string, string) { up.now() }}
		}},
		"TLS": {"wss://" + silent, "no answer in time to the TLS handshake", func(up *timeIsUp) *httptrace.ClientTrace {
			return &httptrace.ClientTrace{TLSHandshakeStart: up.now}
		}},
		"upgrade": {"ws://" + silent, "no answer in time to the WebSocket upgrade", func(up *timeIsUp) *httptrace.ClientTrace {
			return &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { up.now() }}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			up := newTimeIsUp()
			_, err := Dial(httptrace.WithClientTrace(up, try.at(up)), DialOptions{URL: try.url})
			checkTimeout(t, err, try.want)
		})
	}
	t.Run("challenge", func(t *testing.T) {
		url := serve(t, func(ctx context.Context, ws *websocket.Conn) { _, _, _ = ws.Read(ctx) })
		conn, err := Dial(context.Background(), DialOptions{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseNow()
		up := newTimeIsUp()
		up.now()
		_, err = Handshake(up, conn, ConnectRequest{})
		checkTimeout(t, err, "nothing came from it in time")
	})
}

func checkTimeout(t *testing.T, err error, want string) {
	t.Helper()
	var transport *TransportError
	if !errors.As(err, &transport) || transport.Kind != Timeout || !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("error is %v", err)
	}
	if !strings.HasSuffix(err.Error(), ": "+want) {
		t.Errorf("%q does not end with %q", err, want)
	}
}
