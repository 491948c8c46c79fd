package probe

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

type connKey struct{}

// A frame that was announced must not keep the proof, and with it "run", for ever.
func TestAFrameThatNeverComesEndsTheProofAllTheSame(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		const hello = `"ok":true,"payload":{"type":"hello-ok","protocol":4,
			"auth":{"method":"device-token","role":"operator","scopes":["operator.read"]}}`
		answerConnect(w, r, hello, func() {
			conn, _ := r.Context().Value(connKey{}).(net.Conn)
			_, _ = conn.Write([]byte{0x81, 0x7f, 0, 0, 1, 0, 0, 0, 0, 0}) // a text of 1 TB
			_, _ = io.Copy(io.Discard, conn)
		})
	}))
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, connKey{}, conn)
	}
	server.Start()
	defer server.Close()
	opts := options(t, AuthDevice)
	opts.URL = "ws" + strings.TrimPrefix(server.URL, "http")
	verdict := make(chan Verdict, 1)
	go func() { verdict <- Run(context.Background(), opts) }()
	select {
	case got := <-verdict:
		if !got.OK {
			t.Errorf("got %+v", got)
		}
	case <-time.After(5 * time.Minute): // which only ends a test that has failed
		server.CloseClientConnections()
		t.Error("it still waits")
	}
}
