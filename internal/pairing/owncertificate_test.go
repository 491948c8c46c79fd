package pairing

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/settings"
)

// selfSigned is a certificate as a gateway makes it (2026.9.6): a common name and no other.
func selfSigned(t *testing.T) (certificate tls.Certificate, asPEM []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "openclaw-gateway"},
		NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

// letsAllIn is a gateway that serves TLS and lets every device in.
func letsAllIn(t *testing.T, certificate tls.Certificate) (port int) {
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		say := func(frame string) { _ = ws.Write(r.Context(), websocket.MessageText, []byte(frame)) }
		say(`{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795362805122}}`)
		var asked struct{ ID string }
		if _, data, err := ws.Read(r.Context()); err != nil || json.Unmarshal(data, &asked) != nil {
			return
		}
		say(`{"type":"res","id":"` + asked.ID + `","ok":true,"payload":{"type":"hello-ok","protocol":4,
			"auth":{"method":"device-token","role":"operator","scopes":["operator.read"]}}}`)
		_, _, _ = ws.Read(r.Context())
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	t.Cleanup(server.Close)
	return server.Listener.Addr().(*net.TCPAddr).Port
}

// Nobody can know the pin of a certificate that the first boot is going to make, and no
// authority vouches for one without a name.
func TestTheGatewaysOwnCertificateIsTrusted(t *testing.T) {
	certificate, own := selfSigned(t)
	_, another := selfSigned(t)
	id, err := identity.FromSeed(make([]byte, 32), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	port := letsAllIn(t, certificate)
	const usual = "gateway/tls/gateway-cert.pem"
	here := fmt.Sprintf("wss://127.0.0.1:%d", port)
	for name, test := range map[string]struct {
		config          string // of gateway.tls, beside enabled
		file            string // where the certificate is
		pem             []byte
		late            bool // it is there once the gateway was asked
		settings        settings.Settings
		want            probe.Outcome
		says, hintsWith string
	}{
		"where the gateway makes it":    {file: usual, pem: own},
		"made while the gateway boots":  {file: usual, pem: own, late: true},
		"where the configuration says":  {config: `,"certPath":"~/mine.pem"`, file: "mine.pem", pem: own},
		"with its chain and its key":    {file: usual, pem: append([]byte("-----BEGIN EC PRIVATE KEY-----\nAAAA\n-----END EC PRIVATE KEY-----\n"), append(own, another...)...)},
		"another one":                   {file: usual, pem: another, want: probe.TLSOrOrigin, says: "not the one in the gateway's own file", hintsWith: "start the gateway again"},
		"not where the gateway has it":  {config: `,"certPath":"~/mine.pem"`, file: usual, pem: own, want: probe.TLSOrOrigin, says: "mine.pem", hintsWith: "--ca-file"},
		"no certificate":                {file: usual, pem: []byte("{}"), want: probe.TLSOrOrigin, says: "no PEM certificate", hintsWith: "--ca-file"},
		"a pin counts before it":        {file: usual, pem: own, settings: settings.Settings{Fingerprint: settings.Fingerprint(strings.Repeat("0", 64))}, want: probe.TLSOrOrigin, says: "not the pinned one"},
		"a URL that leads here as well": {file: usual, pem: own, settings: settings.Settings{GatewayURL: settings.URL(here)}},
		"a URL that leads elsewhere": {
			file: usual, pem: own, settings: settings.Settings{GatewayURL: settings.URL(strings.Replace(here, "127.0.0.1", "localhost", 1))},
			want: probe.TLSOrOrigin, says: "failed to verify certificate",
		},
	} {
		t.Run(name, func(t *testing.T) {
			state := t.TempDir()
			write := func(name string, data []byte) {
				path := filepath.Join(state, name)
				if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(path, data, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write("openclaw.json", fmt.Appendf(nil, `{"gateway":{"port":%d,"tls":{"enabled":true%s}}}`, port, test.config))
			if !test.late {
				write(test.file, test.pem)
			}
			test.settings.StateDir = state
			target, err := Settle(Invocation{}, test.settings, nil, map[string]string{"HOME": state}, false)
			if err != nil {
				t.Fatal(err)
			}
			options := target.Proof(id, "a-token", []string{"operator.read"})
			if test.late {
				options.Wait = time.Minute
				options.Progress = func(probe.Waiting) { write(test.file, test.pem) }
			}
			got := probe.Run(t.Context(), options)
			if got.Outcome != cmp.Or(test.want, probe.OK) || !strings.Contains(got.Message, test.says) || !strings.Contains(got.Hint(), test.hintsWith) {
				t.Errorf("%s: %s (%s)", got.Outcome, got.Message, got.Hint())
			}
		})
	}
}
