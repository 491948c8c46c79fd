package protocol

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

func dialKind(t *testing.T, opts DialOptions) (TransportKind, *TransportError) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := Dial(ctx, opts)
	if err == nil {
		conn.CloseNow()
		return "", nil
	}
	var transport *TransportError
	if !errors.As(err, &transport) {
		t.Fatalf("error is %T", err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is in the error: %v", err)
	}
	return transport.Kind, transport
}

func TestURLThatNamesNoGatewayIsRefused(t *testing.T) {
	for _, url := range []string{"", "127.0.0.1:1", "http://127.0.0.1:1", "ws://", "ws://:hunter2@%zz", "://"} {
		if kind, _ := dialKind(t, DialOptions{URL: url}); kind != BadURL {
			t.Errorf("%q gives %q", url, kind)
		}
	}
}

func TestNobodyListeningIsRefusedAndSecretsInTheURLStayThere(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	listener.Close()
	kind, failed := dialKind(t, DialOptions{URL: "ws://user:hunter2@" + address + "/x?token=hunter2"})
	if kind != Refused || failed.URL != "ws://"+address+"/x" {
		t.Errorf("kind %s, URL %s", kind, failed.URL)
	}
}

func TestUnknownHostNameIsSaidToBeUnknown(t *testing.T) {
	// No look-up: what an unknown name costs depends on the machine's resolver.
	err := &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", Name: "gateway", IsNotFound: true}}
	if kind := transportKind(context.Background(), err); kind != Name {
		t.Errorf("kind is %s", kind)
	}
}

func TestAnswersThatAreNoUpgrade(t *testing.T) {
	for name, test := range map[string]struct {
		status   int
		location string
		body     string
	}{
		"not found":         {404, "", "nothing"},
		"bad gateway":       {502, "", ""},
		"plain page":        {200, "", "<html>"},
		"redirect":          {301, "https://elsewhere.test/x?token=hunter2", ""},
		"proxy not trusted": {403, "", `{"error":{"type":"proxy_attribution_required"}}`},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if test.location != "" {
					w.Header().Set("Location", test.location)
				}
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			}))
			defer server.Close()
			kind, failed := dialKind(t, DialOptions{URL: "ws" + strings.TrimPrefix(server.URL, "http")})
			if kind != HTTP || failed.Status != test.status || failed.Body != test.body {
				t.Errorf("got %+v", failed)
			}
			if test.location != "" && failed.Location != "https://elsewhere.test/x" {
				t.Errorf("location is %q", failed.Location)
			}
		})
	}
}

// rawServer answers each connection with bytes and hangs up.
func rawServer(t *testing.T, answer string) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 4096))
			_, _ = conn.Write([]byte(answer))
			conn.Close()
		}
	}()
	t.Cleanup(func() { listener.Close(); <-done })
	return listener.Addr().String()
}

func TestPeerThatHangsUpIsLostAndOneThatTalksOtherwiseIsNoGateway(t *testing.T) {
	if kind, failed := dialKind(t, DialOptions{URL: "ws://" + rawServer(t, "")}); kind != Lost {
		t.Errorf("hang up gives %s: %v", kind, failed)
	}
	if kind, failed := dialKind(t, DialOptions{URL: "ws://" + rawServer(t, "220 smtp ready\r\n\r\n")}); kind != NotGateway {
		t.Errorf("smtp gives %s: %v", kind, failed)
	}
	if kind, failed := dialKind(t, DialOptions{URL: "wss://" + rawServer(t, "HTTP/1.1 400 Bad Request\r\n\r\n")}); kind != TLS {
		t.Errorf("plain HTTP behind wss gives %s: %v", kind, failed)
	}
}

func TestTLSTrustsTheSystemTheCAFileOrThePin(t *testing.T) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err == nil {
			_ = ws.CloseNow()
		}
	}))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	url := "wss" + strings.TrimPrefix(server.URL, "https")
	leaf := server.Certificate()
	sum := sha256.Sum256(leaf.Raw)
	pin := hex.EncodeToString(sum[:])
	var colons []string
	for i := 0; i < len(pin); i += 2 {
		colons = append(colons, strings.ToUpper(pin[i:i+2]))
	}
	caFile := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(caFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leaf.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		tls  TLSOptions
		want TransportKind
	}{
		"unknown issuer is refused":            {TLSOptions{}, TLS},
		"the CA file is trusted":               {TLSOptions{CAFile: caFile}, ""},
		"a CA file without certificate is not": {TLSOptions{CAFile: empty}, TLS},
		"a missing CA file is said to be":      {TLSOptions{CAFile: caFile + ".missing"}, TLS},
		"the pin is trusted":                   {TLSOptions{PinnedFingerprint: pin}, ""},
		"the pin may have colons":              {TLSOptions{PinnedFingerprint: strings.Join(colons, ":")}, ""},
		"another pin is refused":               {TLSOptions{PinnedFingerprint: strings.Repeat("00", 32)}, TLS},
		"a short pin is refused":               {TLSOptions{PinnedFingerprint: "ab:cd"}, TLS},
	} {
		t.Run(name, func(t *testing.T) {
			if kind, failed := dialKind(t, DialOptions{URL: url, TLS: test.tls}); kind != test.want {
				t.Errorf("kind is %q (%v), want %q", kind, failed, test.want)
			}
		})
	}
}

func TestPinErrorShowsWhatWasSeen(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	_, failed := dialKind(t, DialOptions{
		URL: "wss" + strings.TrimPrefix(server.URL, "https"),
		TLS: TLSOptions{PinnedFingerprint: strings.Repeat("00", 32)},
	})
	sum := sha256.Sum256(server.Certificate().Raw)
	var pin *PinError
	if !errors.As(failed, &pin) || pin.Got != hex.EncodeToString(sum[:]) {
		t.Errorf("error is %v", failed)
	}
}

// The file of the gateway's certificate may be another user's, or newer than what is served.
func TestACertificateThatAnAuthorityVouchesForNeedsNoFile(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	shown, roots := []*x509.Certificate{server.Certificate()}, x509.NewCertPool()
	roots.AddCert(server.Certificate())
	for name, own := range map[string]func() ([]byte, error){
		"unreadable": func() ([]byte, error) { return nil, fs.ErrPermission },
		"another":    func() ([]byte, error) { return []byte("another"), nil },
	} {
		t.Run(name, func(t *testing.T) {
			options := TLSOptions{Own: own, OwnAddress: "127.0.0.1:18789"}
			if err := options.isOwn(shown, roots); err != nil {
				t.Error(err)
			}
			if options.isOwn(shown, x509.NewCertPool()) == nil {
				t.Error("nobody vouches for it, and it is trusted")
			}
			options.OwnAddress = "192.0.2.1:18789"
			if options.isOwn(shown, roots) == nil {
				t.Error("it is trusted at an address that is not in it")
			}
		})
	}
}

func TestDialEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := Dial(ctx, DialOptions{URL: "ws://127.0.0.1:1"})
	var transport *TransportError
	if !errors.As(err, &transport) || transport.Kind != Canceled {
		t.Errorf("error is %v", err)
	}
}

func TestWhoIsNotTheListenerIsShownNothing(t *testing.T) {
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		reached.Add(1)
		if ws, err := websocket.Accept(w, r, nil); err == nil {
			_ = ws.CloseNow()
		}
	}))
	defer server.Close()
	url := "ws" + strings.TrimPrefix(server.URL, "http")
	foreign := errors.New("pid 7, uid 12345")
	for name, test := range map[string]struct {
		says []any
		want TransportKind
		asks int
	}{
		"the same before and after":      {[]any{"1", "1"}, "", 2},
		"another before":                 {[]any{foreign}, Foreign, 1},
		"another after":                  {[]any{"1", foreign}, Foreign, 2},
		"a later one, which is the same": {[]any{"1", "2"}, Foreign, 2},
		"nobody before":                  {[]any{"", "1"}, Foreign, 2},
	} {
		t.Run(name, func(t *testing.T) {
			before, asks := reached.Load(), 0
			options := TLSOptions{Listener: func(_ context.Context, address string) (string, error) {
				if "ws://"+address != url {
					t.Errorf("asked for %s", address)
				}
				asks++
				if err, ok := test.says[asks-1].(error); ok {
					return "", err
				}
				return test.says[asks-1].(string), nil
			}}
			kind, failed := dialKind(t, DialOptions{URL: url, TLS: options})
			if kind != test.want || asks != test.asks || kind == Foreign && reached.Load() != before {
				t.Errorf("kind %q (%v), asked %d times, reached %v", kind, failed, asks, reached.Load() != before)
			}
		})
	}
}
