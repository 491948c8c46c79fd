package bridge

import (
	"bufio"
	"context"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sys/unix"
)

func TestRequestsOfWebPagesAreRefused(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(o *Options, _ *Bridge) { o.Hosts = []string{"bridge.internal"} })
	_, port, _ := net.SplitHostPort(b.address)
	for name, c := range map[string]struct {
		header http.Header
		status int
	}{
		"its own address is taken":             {nil, 200},
		"localhost is taken":                   {http.Header{"Host": {"localhost:" + port}}, 200},
		"a name that it was given is taken":    {http.Header{"Host": {"Bridge.Internal:" + port}}, 200},
		"another host is refused":              {http.Header{"Host": {"evil.example:" + port}}, 403},
		"another host's address is refused":    {http.Header{"Host": {"192.0.2.1"}}, 403},
		"a name that begins well is refused":   {http.Header{"Host": {"localhost.evil.example"}}, 403},
		"an origin is refused":                 {http.Header{"Origin": {"https://evil.example"}}, 403},
		"the bridge's own origin is refused":   {http.Header{"Origin": {"http://" + b.address}}, 403},
		"the origin null is refused":           {http.Header{"Origin": {"null"}}, 403},
		"an origin that is empty is refused":   {http.Header{"Origin": {""}}, 403},
		"an origin in lower case is refused":   {http.Header{"origin": {"https://evil.example"}}, 403},
		"a host in brackets that is not is so": {http.Header{"Host": {"[::2]:" + port}}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			if status, _ := ready(t, b, c.header); status != c.status {
				t.Errorf("answered with %d", status)
			}
			ws, response, err := websocket.Dial(t.Context(), "ws://"+b.address+"/agent-1", &websocket.DialOptions{HTTPHeader: c.header, Host: c.header.Get("Host")})
			if refused := err != nil && response != nil && response.StatusCode == 403; refused != (c.status == 403) {
				t.Errorf("the upgrade says %v", err)
			}
			if ws != nil {
				_ = ws.CloseNow()
			}
		})
	}
}

func TestCompressionIsNotOffered(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	ws, response, err := websocket.Dial(t.Context(), "ws://"+b.address+"/agent-1", &websocket.DialOptions{CompressionMode: websocket.CompressionContextTakeover})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ws.CloseNow() }()
	if extensions := response.Header.Get("Sec-WebSocket-Extensions"); extensions != "" {
		t.Errorf("the bridge agreed to %q", extensions)
	}
	raw, in := upgrade(t, b.address, "/agent-1")
	readFrame(t, in)
	sendFrame(t, raw, true, 0x41, []byte(reflecttConnect)) // as if compressed
	if head, _ := readFrame(t, in); head != 0x88 {
		t.Errorf("answered with %#x", head)
	}
}

func TestListenerThatOthersReachNeedsAToken(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", "[::]:0"} {
		t.Run(address, func(t *testing.T) {
			l, err := Listen(address)
			if errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) {
				t.Skipf("skipped: this machine has no IPv6: %v", err)
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := New(Options{GatewayURL: "ws://127.0.0.1:1"})
			if err != nil {
				t.Fatal(err)
			}
			var exposed *ExposedError
			if err := b.Serve(t.Context(), l); !errors.As(err, &exposed) {
				t.Errorf("served: %v", err)
			}
		})
	}
}

func TestUnixSocketServesTheClientItIsNamedAfter(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	makeBundle(t, b.dir, "agent-2", "operator.read", "operator.write")
	path := socketPath(t)
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("the socket has mode %v, %v", info.Mode(), err)
	}
	stop := start(t, b.Bridge, l)
	over := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	for urlPath, want := range map[string]bool{"": true, "/": true, "/agent-1": true, "/agent-2": false} {
		ws, _, err := websocket.Dial(t.Context(), "ws://localhost"+urlPath, &websocket.DialOptions{HTTPClient: over})
		if err != nil {
			t.Fatal(err)
		}
		p := &peer{t: t, ws: ws, ctx: t.Context()}
		p.send(reflecttConnect)
		if !want {
			if got := p.closed(); got.Code != 1008 {
				t.Errorf("%q: closed with %d %q", urlPath, got.Code, got.Reason)
			}
			continue
		}
		p.answer()
		_ = ws.CloseNow()
	}
	if let := b.seen(LetIn); len(let) != 3 || let[0].Client != "agent-1" || !strings.Contains(let[0].Remote, "uid ") {
		t.Errorf("events: %+v", let)
	}
	if _, err := Listen("unix:" + path); err == nil {
		t.Error("a second bridge took the socket over")
	}
	stop()
	if _, err := os.Lstat(path); err == nil {
		t.Error("the socket is still there")
	}
}

func TestSocketThatWasLeftBehindIsReplaced(t *testing.T) {
	path := socketPath(t)
	old, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	old.SetUnlinkOnClose(false)
	_ = old.Close()
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	_ = l.Close()
	write(t, path, "a file of somebody's")
	if _, err := Listen("unix:" + path); err == nil {
		t.Error("a file was replaced")
	}
	if _, err := Listen("unix:" + filepath.Join(filepath.Dir(path), "-.sock")); err == nil {
		t.Error("a socket that names no client was made")
	}
}

func TestSocketIsForItsOwnerOnly(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can connect as another user, to be refused")
	}
	path := socketPath(t)
	for dir := filepath.Dir(path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	b := serve(t, newFake(t, welcome).url(), nil)
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	start(t, b.Bridge, l)
	ask := func() string { return askAs(12345, path) }
	if out := ask(); !strings.Contains(out, "permission denied") {
		t.Errorf("another user: %s", out)
	}
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	if out := ask(); strings.Contains(out, "200") {
		t.Errorf("another user, on a socket that was opened to all: %s", out)
	}
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if out := ask(); !strings.Contains(out, "200") {
		t.Errorf("the socket's owner: %s", out)
	}
}

func TestASocketThatWasReplacedLetsNobodyElseIn(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("skipped: only root can connect as another user, to be refused")
	}
	path := socketPath(t)
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	b := serve(t, newFake(t, welcome).url(), nil)
	l, err := Listen("unix:" + path)
	if err != nil {
		t.Fatal(err)
	}
	start(t, b.Bridge, l)
	if err := os.Chmod(path, 0o666); err != nil {
		t.Fatal(err)
	}
	// The owner of its directory moves it, and puts a socket of their own there.
	moved := filepath.Join(filepath.Dir(path), "moved.sock")
	if err := os.Rename(path, moved); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close() }()
	if err := os.Chown(path, 12345, 12345); err != nil {
		t.Fatal(err)
	}
	if out := askAs(12345, moved); strings.Contains(out, "200") {
		t.Errorf("by the socket that was moved: %s", out)
	}
}

func TestASocketIsForItsOwnerFromItsFirstMomentOn(t *testing.T) {
	path := socketPath(t)
	l, err := listenPrivate(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if info, err := os.Lstat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// askAs asks for /livez as another user. Its thread becomes that user, and ends
// with the goroutine that is locked to it.
func askAs(uid uintptr, path string) string {
	said := make(chan string)
	go func() {
		runtime.LockOSThread()
		said <- func() string {
			// The raw call changes one thread; syscall.Setresuid changes all.
			if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, uid, uid, uid); errno != 0 {
				return errno.Error()
			}
			fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
			if err != nil {
				return err.Error()
			}
			defer func() { _ = unix.Close(fd) }()
			if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err != nil {
				return err.Error()
			}
			if _, err := unix.Write(fd, []byte("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")); err != nil {
				return err.Error()
			}
			answer := make([]byte, 15)
			n, err := unix.Read(fd, answer)
			if err != nil {
				return err.Error()
			}
			return string(answer[:n])
		}()
	}()
	return <-said
}

// socketPath is short: a socket's path has at most 107 bytes.
func socketPath(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bridge-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return filepath.Join(dir, "agent-1.sock")
}

// upgrade makes a WebSocket by hand, to see and send single frames.
func upgrade(t *testing.T, address, path string) (net.Conn, *bufio.Reader) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(3 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n", path, address)
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil)
	if err != nil || response.StatusCode != 101 {
		t.Fatalf("the upgrade was answered with %v, %v", response, err)
	}
	return conn, in
}

// sendFrame writes one masked frame (the mask is zero) of at most 64 kB.
func sendFrame(t *testing.T, w io.Writer, last bool, opcode byte, data []byte) {
	t.Helper()
	if last {
		opcode |= 0x80
	}
	frame := []byte{opcode, 0x80 | 126, 0, 0, 0, 0, 0, 0}
	binary.BigEndian.PutUint16(frame[2:], uint16(len(data)))
	if _, err := w.Write(append(frame, data...)); err != nil {
		t.Fatal(err)
	}
}

// readFrame reads one frame of a server, of at most 64 kB.
func readFrame(t *testing.T, in *bufio.Reader) (head byte, data []byte) {
	t.Helper()
	var start [2]byte
	if _, err := io.ReadFull(in, start[:]); err != nil {
		t.Fatal(err)
	}
	size := int(start[1])
	if size == 126 {
		var long [2]byte
		if _, err := io.ReadFull(in, long[:]); err != nil {
			t.Fatal(err)
		}
		size = int(binary.BigEndian.Uint16(long[:]))
	}
	data = make([]byte, size)
	if _, err := io.ReadFull(in, data); err != nil {
		t.Fatal(err)
	}
	return start[0], data
}

func acceptKey(key string) string {
	hash := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(hash[:])
}

func TestCrowdTakesSoManyAndNobodyWhenItLeaves(t *testing.T) {
	var c crowd
	for range maxClients {
		if !c.enter("") {
			t.Fatal("there was room")
		}
	}
	if c.enter("") {
		t.Error("there was no room")
	}
	for range maxClients {
		c.exit()
	}
	c.leave()
	if c.enter("") {
		t.Error("somebody came in at the end")
	}
}

func TestBundleThatCannotBeReadIsToldToTheLogOnly(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	write(t, filepath.Join(bundle.Dir, "bridge-token"), "too-short")
	if got := b.dial(t, "/agent-1", nil).closed(); got.Code != 1008 || strings.Contains(got.Reason, bundle.Dir) {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if refused := b.seen(Refused); len(refused) != 1 || !strings.Contains(refused[0].Reason, "at least 16 characters") || strings.Contains(refused[0].Reason, "too-short") {
		t.Errorf("events: %+v", refused)
	}
}
