package health

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// serve runs a server for the length of a test.
func serve(t *testing.T, handler http.Handler, change ...func(*http.Server)) (address string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(handler)
	for _, change := range change {
		change(server)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("ended with %v", err)
		}
	})
	return l.Addr().String()
}

// open is a connection on which this text was sent.
func open(t *testing.T, address, text string) *bufio.Reader {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(conn, text); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(conn)
}

func alive() http.Handler {
	return Probes(func(context.Context) (State, bool) { return State{"ready", "all is well"}, true }, http.StatusNotFound, "there is nothing here")
}

func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	in := open(t, address, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
	response, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

func TestConnectionsThatSayNothingKeepNobodyOut(t *testing.T) {
	address := serve(t, alive())
	first := open(t, address, "")
	for i := range maxWaiting + 50 {
		// A header that has begun is no request, either.
		open(t, address, []string{"", "GET /livez HTTP/1.1\r\nX: "}[i%2])
	}
	if code, body := get(t, address, "/livez"); code != 200 || body != `{"status":"ok","message":"ok"}`+"\n" {
		t.Errorf("answered with %d %q", code, body)
	}
	// The oldest made room, well before its time was over.
	if _, err := first.ReadByte(); errors.Is(err, context.DeadlineExceeded) || err == nil {
		t.Errorf("the oldest: %v", err)
	}
}

func TestTheWaitingRoomHoldsSoMany(t *testing.T) {
	room := &waitingRoom{most: 3, arrived: map[net.Conn]uint64{}}
	var conns []net.Conn
	for range 5 {
		ours, theirs := net.Pipe()
		t.Cleanup(func() { _, _ = ours.Close(), theirs.Close() })
		conns = append(conns, theirs)
		room.note(ours, http.StateNew)
	}
	if len(room.arrived) != 3 {
		t.Errorf("%d wait", len(room.arrived))
	}
	for i, conn := range conns {
		_ = conn.SetReadDeadline(time.Now())
		_, err := conn.Read(make([]byte, 1))
		if ended := errors.Is(err, io.EOF); ended != (i < 2) {
			t.Errorf("%d: %v", i, err)
		}
	}
}

func TestARequestWithABodyIsRefusedBeforeTheBodyComes(t *testing.T) {
	reached := make(chan string, 4)
	address := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { reached <- r.URL.Path }))
	for _, header := range []string{"Content-Length: 1000000", "Content-Length: 5", "Transfer-Encoding: chunked"} {
		in := open(t, address, fmt.Sprintf("GET /agent-1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s\r\n\r\n", header))
		response, err := http.ReadResponse(in, nil)
		if err != nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %v, %v", header, response, err)
		}
	}
	if len(reached) > 0 {
		t.Errorf("it was handled: %s", <-reached)
	}
}

func TestEveryLimitIsSet(t *testing.T) {
	server := NewServer(alive())
	if server.ReadTimeout <= 0 || server.ReadHeaderTimeout <= 0 || server.WriteTimeout <= 0 || server.IdleTimeout <= 0 || server.MaxHeaderBytes <= 0 {
		t.Errorf("got %+v", server)
	}
}

func TestARequestThatDoesNotEndIsGivenUp(t *testing.T) {
	address := serve(t, alive(), func(s *http.Server) {
		s.ReadTimeout, s.ReadHeaderTimeout = 50*time.Millisecond, 50*time.Millisecond
	})
	in := open(t, address, "GET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	said, err := io.ReadAll(in) // until the server closes
	if err != nil && !strings.Contains(err.Error(), "reset") || strings.Contains(string(said), "200 OK") {
		t.Errorf("got %q, %v", said, err)
	}
}

func TestProbesSayWhatIsAsked(t *testing.T) {
	ok := false
	address := serve(t, Probes(func(context.Context) (State, bool) {
		if !ok {
			return State{"starting", "not yet"}, false
		}
		return State{"ready", "proven"}, true
	}, http.StatusUpgradeRequired, "speak WebSocket"))
	for _, c := range []struct {
		path string
		code int
		body string
	}{
		{"/livez", 200, `{"status":"ok","message":"ok"}`},
		{"/readyz", 503, `{"status":"starting","message":"not yet"}`},
		{"/", 426, `{"status":"unknown","message":"speak WebSocket"}`},
		{"/livez/", 426, `{"status":"unknown","message":"speak WebSocket"}`},
	} {
		if code, body := get(t, address, c.path); code != c.code || body != c.body+"\n" {
			t.Errorf("%s: %d %q", c.path, code, body)
		}
	}
	ok = true
	if code, body := get(t, address, "/readyz"); code != 200 || body != `{"status":"ready","message":"proven"}`+"\n" {
		t.Errorf("ready: %d %q", code, body)
	}
	in := open(t, address, "POST /livez HTTP/1.1\r\nHost: x\r\n\r\n")
	if response, err := http.ReadResponse(in, nil); err != nil || response.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %v, %v", response, err)
	}
}

func TestOnlySoManyWaitForAnAnswer(t *testing.T) {
	begun, release := make(chan struct{}, maxAsking), make(chan struct{})
	address := serve(t, Probes(func(context.Context) (State, bool) {
		begun <- struct{}{}
		<-release
		return State{"ready", ""}, true
	}, http.StatusNotFound, ""))
	for range maxAsking {
		open(t, address, "GET /readyz HTTP/1.1\r\nHost: x\r\n\r\n")
		<-begun
	}
	if code, body := get(t, address, "/readyz"); code != 503 || !strings.Contains(body, "busy") {
		t.Errorf("one more: %d %q", code, body)
	}
	if code, _ := get(t, address, "/livez"); code != 200 {
		t.Errorf("/livez: %d", code)
	}
	close(release)
}
