package gatewaytest_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// reflectt is a client of reflectt-node's shape: protocol 3..3, cli/cli, platform
// node, no device, and connect at open.
type reflectt struct {
	t   *testing.T
	ws  *websocket.Conn
	all strings.Builder
	// refused is how the gateway or the bridge has closed instead of letting it in.
	refused websocket.CloseError
}

// visitBridge connects; over is nil, or dials something else than the URL says.
func visitBridge(t *testing.T, url string, over *http.Client) *reflectt {
	t.Helper()
	return visitBridgeWith(t, url, over, "none-of-yours")
}

// visitBridgeWith shows a token in its request.
func visitBridgeWith(t *testing.T, url string, over *http.Client, token string) *reflectt {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	ws, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: over})
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	ws.SetReadLimit(-1)
	t.Cleanup(func() { _ = ws.CloseNow() })
	r := &reflectt{t: t, ws: ws}
	answer, err := r.call("connect", `{"minProtocol":3,"maxProtocol":3,"client":{"id":"cli","version":"1.0.0","platform":"node","mode":"cli"},`+
		`"role":"operator","scopes":["operator.read","operator.write"],"auth":{"token":"`+token+`"}}`)
	for err == nil && !answer.OK {
		_, _, err = ws.Read(ctx) // the close frame comes next
	}
	if err != nil && !errors.As(err, &r.refused) {
		t.Fatalf("%s: %v", url, err)
	}
	return r
}

type reflecttAnswer struct {
	Type, ID string
	OK       bool
	Error    struct{ Message string }
}

func (r *reflectt) call(method, params string) (answer reflecttAnswer, err error) {
	ctx, cancel := context.WithTimeout(r.t.Context(), patience)
	defer cancel()
	request := fmt.Sprintf(`{"type":"req","id":%q,"method":%q,"params":%s}`, "id-"+method, method, params)
	// Where this fails, the other side has closed, and reading tells why.
	_ = r.ws.Write(ctx, websocket.MessageText, []byte(request))
	for {
		_, data, err := r.ws.Read(ctx)
		if err != nil {
			return answer, err
		}
		r.all.Write(data)
		if err := json.Unmarshal(data, &answer); err != nil || answer.Type == "res" && answer.ID == "id-"+method {
			return answer, err
		}
	}
}

// may tells whether a call is granted.
func (r *reflectt) may(method string) bool {
	r.t.Helper()
	answer, err := r.call(method, "{}")
	if err != nil {
		r.t.Fatalf("%s: %v", method, err)
	}
	return !strings.Contains(answer.Error.Message, "missing scope")
}

// closed waits for the close frame.
func (r *reflectt) closed() websocket.CloseError {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		_, _, err := r.ws.Read(ctx)
		var closed websocket.CloseError
		switch {
		case err == nil:
		case errors.As(err, &closed):
			return closed
		default:
			r.t.Errorf("no close frame: %v", err)
			return closed
		}
	}
}

// bridgedGateway is a gateway started by "run --bridge", which joins whoever asks.
type bridgedGateway struct {
	*gatewaytest.Gateway
	bridge, health string
}

func TestRunServesTheBridgeBesideARealGateway(t *testing.T) {
	t.Parallel()
	// The last of these is the one before databases, which rewrites its file when
	// anybody connects.
	for _, version := range []string{"2026.9.6", "2026.5.28"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			address := func() string { return fmt.Sprintf("127.0.0.1:%d", gatewaytest.FreePort(t)) }
			b := bridgedGateway{bridge: address(), health: address()}
			b.Gateway = openGateway(t, version, gatewaytest.Bootstrap(t), "run",
				"--client", "a", "--client", "b:read", "--bridge", b.bridge, "--bridge-join", "read", "--health-listen", b.health, "--")
			b.WaitOutput(t, saysProven)
			await(t, "readiness", b.ready)
			t.Run("the clients that it was given have their own rights, at once", b.servesBoth)
			t.Run("one that nobody named is joined, once", b.joinsNewcomer)
			t.Run("one that somebody removed stays out", b.keepsOut)
			if version == "2026.9.6" {
				t.Run("through a private authority's wss", b.overTLS)
				t.Run("far away a person is told what to type", b.asksFarAway)
				t.Run("it follows the gateway's restart in place", b.restarts)
			}
			t.Run("it ends with the gateway and with its code", b.ends)
			if strings.Contains(b.Output(), approveToken) {
				t.Error("the gateway's token was logged")
			}
		})
	}
}

func (b bridgedGateway) ready() bool {
	answer, err := http.Get("http://" + b.health + "/readyz")
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == 200
}

func (b bridgedGateway) visit(t *testing.T, name string) *reflectt {
	t.Helper()
	return visitBridge(t, "ws://"+b.bridge+"/"+name, nil)
}

func (b bridgedGateway) servesBoth(t *testing.T) {
	one, two := b.visit(t, "a"), b.visit(t, "b")
	if !one.may("models.list") || !one.may("wake") || !two.may("models.list") || two.may("wake") {
		t.Errorf("a was told %s\nb was told %s", one.all.String(), two.all.String())
	}
	if got := b.visit(t, "self").refused; got.Code != 1008 {
		t.Errorf("the gateway's own operator: %v", got)
	}
}

func (b bridgedGateway) joinsNewcomer(t *testing.T) {
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			c := b.visit(t, "newcomer")
			if c.refused.Code != 0 || !c.may("models.list") || c.may("wake") {
				t.Errorf("a newcomer was told %v %s", c.refused, c.all.String())
			}
		})
	}
	all.Wait()
	if joined := strings.Count(b.Output(), `"bridge: joined"`); joined != 1 {
		t.Errorf("joined %d times", joined)
	}
	env, err := os.ReadFile(filepath.Join(b.StateDir, "bootstrap", "clients", "newcomer", "env"))
	if err != nil || !strings.Contains(string(env), "OPENCLAW_GATEWAY_TOKEN=") {
		t.Errorf("its bundle: %v", err)
	}
}

func (b bridgedGateway) keepsOut(t *testing.T) {
	revoked := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: []string{"seed", "revoke", "--state-dir", b.StateDir, "newcomer"},
		Env:  []string{fmt.Sprintf("OPENCLAW_GATEWAY_PORT=%d", b.Port)},
	})
	if revoked.Code != 0 {
		t.Fatal(revoked.Stderr)
	}
	if got := b.visit(t, "newcomer").refused; got.Code != 1008 || !strings.Contains(got.Reason, "bootstrap seed --reseed newcomer") {
		t.Errorf("closed with %v", got)
	}
}

func (b bridgedGateway) restarts(t *testing.T) {
	held := b.visit(t, "a")
	b.Signal(t, syscall.SIGUSR2)
	if got := held.closed(); got.Code != 1012 && got.Code != 1013 {
		t.Errorf("closed with %v", got)
	}
	await(t, "unreadiness", func() bool { return !b.ready() || strings.Contains(b.Output(), "restarts in place") })
	await(t, "readiness", func() bool { return strings.Count(b.Output(), "ready: the pairing is proven") == 2 && b.ready() })
	if !b.visit(t, "a").may("models.list") {
		t.Error("not let in after the restart")
	}
}

func (b bridgedGateway) ends(t *testing.T) {
	held := b.visit(t, "b")
	goodbye := make(chan websocket.CloseError, 1)
	go func() { goodbye <- held.closed() }()
	if code := b.Stop(t); code != 0 {
		t.Errorf("ended with %d", code)
	}
	// The gateway's own close, or the bridge's where the gateway said none.
	if got := <-goodbye; got.Code != 1012 && got.Code != 1013 && got.Code != 1001 {
		t.Errorf("closed with %v", got)
	}
	if !strings.Contains(b.Output(), `"source":"gateway","code":0`) {
		t.Error("the log does not say that the gateway ended it")
	}
}

// asksFarAway: a bridge on another machine has the gateway's token, and may not
// approve by it.
func (b bridgedGateway) asksFarAway(t *testing.T) {
	remote := gatewaytest.NewRemote(t)
	// A path in the temp directory: a socket's has at most 107 bytes. It is seen from
	// both networks.
	dir, err := os.MkdirTemp("", "bridge-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket := filepath.Join(dir, "far.sock")
	bridge := startBridge(t, remote, []string{"OPENCLAW_GATEWAY_TOKEN=" + approveToken, "OPENCLAW_GATEWAY_URL=" + remote.URL(b.Gateway)},
		"--listen", "unix:"+socket, "--bundle-dir", filepath.Join(dir, "clients"), "--bridge-join", "standard")
	over := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}}
	await(t, "the socket", func() bool {
		_, err := os.Lstat(socket)
		return err == nil
	})
	got := visitBridge(t, "ws://localhost", over).refused
	_, request, found := strings.Cut(got.Reason, "client far is not paired: bootstrap approve ")
	if got.Code != 1008 || !found {
		t.Fatalf("closed with %v", got)
	}
	approved := gatewaytest.RunBootstrap(t, gatewaytest.Command{
		Argv: []string{"approve", "--state-dir", t.TempDir(), "--gateway-url", b.URL, request},
		Env:  []string{"OPENCLAW_GATEWAY_TOKEN=" + approveToken},
	})
	if approved.Code != 0 {
		t.Fatal(approved.Stderr)
	}
	await(t, "the client to be let in", func() bool {
		c := visitBridge(t, "ws://localhost", over)
		return c.refused.Code == 0 && c.may("models.list") && c.may("wake")
	})
	if said := bridge.stop(t); !strings.Contains(said, request) || !strings.Contains(said, "bootstrap approve "+request) || strings.Contains(said, approveToken) {
		t.Errorf("the bridge said:\n%s", said)
	}
}

// bridgeProcess is "bootstrap bridge" in some network.
type bridgeProcess struct {
	end    string // the file that ends it
	result chan gatewaytest.Result
}

// startBridge starts it; stop ends it, or the test's end does.
func startBridge(t *testing.T, in *gatewaytest.Remote, env []string, args ...string) *bridgeProcess {
	t.Helper()
	b := &bridgeProcess{end: filepath.Join(t.TempDir(), "end"), result: make(chan gatewaytest.Result, 1)}
	const script = `end=$1; shift; "$@" & bridge=$!; until [ -e "$end" ]; do sleep 0.1; done; kill "$bridge"; wait "$bridge"`
	command := gatewaytest.Command{
		In: in, Env: append(env, "OPENCLAW_STATE_DIR="+t.TempDir()), Timeout: 3 * patience, // it lives for a whole test
		Argv: append([]string{"bash", "-c", script, "bash", b.end, gatewaytest.Bootstrap(t), "bridge"}, args...),
	}
	go func() { b.result <- gatewaytest.Run(t, command) }()
	t.Cleanup(func() { b.stop(t) })
	return b
}

// stop ends it and returns what it has logged; the second time nothing.
func (b *bridgeProcess) stop(t *testing.T) string {
	t.Helper()
	if _, err := os.Stat(b.end); err == nil {
		return ""
	}
	if err := os.WriteFile(b.end, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	result := <-b.result
	if result.Code != 0 {
		t.Errorf("the bridge ended with %d: %s", result.Code, result.Stderr)
	}
	return result.Stderr
}

// overTLS puts a TLS server with a private authority before the gateway.
func (b bridgedGateway) overTLS(t *testing.T) {
	target, err := url.Parse("http" + strings.TrimPrefix(b.URL, "ws"))
	if err != nil {
		t.Fatal(err)
	}
	// Not Director, which would add headers that make the gateway refuse a proxy.
	proxy := httptest.NewUnstartedServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }})
	authority, certificate := privateAuthority(t)
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	fingerprint := sha256.Sum256(certificate.Certificate[0])
	bundles := filepath.Join(b.StateDir, "bootstrap", "clients")
	for name, c := range map[string]struct {
		args []string
		in   bool
	}{
		"its authority is known":           {[]string{"--ca-file", authority}, true},
		"its certificate is pinned":        {[]string{"--tls-fingerprint", hex.EncodeToString(fingerprint[:])}, true},
		"another certificate is pinned":    {[]string{"--tls-fingerprint", strings.Repeat("ab", 32)}, false},
		"nobody vouches for the gateway's": {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			address := fmt.Sprintf("127.0.0.1:%d", gatewaytest.FreePort(t))
			startBridge(t, nil, nil, append([]string{
				"--listen", address, "--bundle-dir", bundles, "--gateway-url", "wss" + strings.TrimPrefix(proxy.URL, "https"),
			}, c.args...)...)
			await(t, "the bridge", func() bool {
				conn, err := net.Dial("tcp", address)
				if err == nil {
					_ = conn.Close()
				}
				return err == nil
			})
			client := visitBridge(t, "ws://"+address+"/a", nil)
			switch {
			case c.in && (client.refused.Code != 0 || !client.may("models.list")):
				t.Errorf("not let in: %v", client.refused)
			case !c.in && (client.refused.Code != 1013 || !strings.Contains(client.refused.Reason, "certificate")):
				t.Errorf("closed with %v", client.refused)
			}
		})
	}
}

// privateAuthority makes an authority, in a file, and a certificate of its.
func privateAuthority(t *testing.T) (path string, certificate tls.Certificate) {
	t.Helper()
	make := func(template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
		if signer == nil {
			parent, signer = template, key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
		if err != nil {
			t.Fatal(err)
		}
		made, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		return made, key
	}
	ca, caKey := make(&x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "private authority"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, nil)
	server, serverKey := make(&x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "gateway"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ca, caKey)
	path = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	return path, tls.Certificate{Certificate: [][]byte{server.Raw}, PrivateKey: serverKey}
}
