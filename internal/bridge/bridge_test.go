package bridge

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

func TestClientThatCannotSignIsLetInAsItsDevice(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	hello := p.letIn()
	if hello["protocol"] != 3.0 {
		t.Errorf("the hello says protocol %v to a client that reads 3 only", hello["protocol"])
	}
	auth := hello["auth"].(map[string]any)
	if len(auth) != 2 || auth["role"] != "operator" {
		t.Errorf("the hello says auth %v", auth)
	}
	p.send(`{"type":"req","id":"2","method":"models.list"}`)
	p.read()
	if shown := p.all.String(); strings.Contains(shown, deviceToken) || strings.Contains(shown, "another-secret") {
		t.Errorf("the client was shown a token: %s", shown)
	}
	checkSigned(t, gateway.got()[0], bundle, "v3", []string{"operator.read"})
	if let := b.seen(LetIn); len(let) != 1 || strings.Join(let[0].Dropped, ",") != "operator.write" || let[0].Client != "agent-1" {
		t.Errorf("events: %+v", let)
	}
}

// checkSigned verifies what the gateway got as the gateway does.
func checkSigned(t *testing.T, frame map[string]any, bundle seed.Bundle, version string, scopes []string) {
	t.Helper()
	params := frame["params"].(map[string]any)
	who, device := params["client"].(map[string]any), params["device"].(map[string]any)
	if params["minProtocol"] != 3.0 || params["maxProtocol"] != 4.0 || who["platform"] != "linux" || who["version"] != "1.2.3" ||
		who["displayName"] != "<reflectt> é" || len(params["caps"].([]any)) != 1 {
		t.Errorf("sent params %v", params)
	}
	auth := params["auth"].(map[string]any)
	if len(auth) != 1 || auth["token"] != deviceToken || strings.Contains(frame["(raw)"].(string), "gateway-token") {
		t.Errorf("sent auth %v", auth)
	}
	var sent []string
	for _, scope := range params["scopes"].([]any) {
		sent = append(sent, scope.(string))
	}
	if strings.Join(sent, ",") != strings.Join(scopes, ",") {
		t.Errorf("sent scopes %v", sent)
	}
	claim := identity.Claim{
		ClientID: "cli", ClientMode: "cli", Role: "operator", Scopes: sent, SignedAt: time.UnixMilli(int64(device["signedAt"].(float64))),
		Token: deviceToken, Nonce: nonce, Platform: "linux",
	}
	payload := claim.V3(bundle.Identity.DeviceID())
	if version == "v2" {
		payload = claim.V2(bundle.Identity.DeviceID())
	}
	signature, err := base64.RawURLEncoding.DecodeString(device["signature"].(string))
	if err != nil || !ed25519.Verify(bundle.Identity.RawPublicKey(), []byte(payload), signature) {
		t.Error("the signature does not hold")
	}
}

func TestBundleRecordsHowTheClientIsDescribed(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	write(t, filepath.Join(bundle.Dir, "env"), "BOOTSTRAP_CLIENT_PLATFORM=darwin\nBOOTSTRAP_CLIENT_FAMILY=Mac\nBOOTSTRAP_CLIENT_ID=gateway-client\nBOOTSTRAP_CLIENT_MODE=backend\n")
	b.dial(t, "/agent-1", nil).letIn()
	who := gateway.got()[0]["params"].(map[string]any)["client"].(map[string]any)
	if who["platform"] != "darwin" || who["deviceFamily"] != "Mac" || who["id"] != "gateway-client" || who["mode"] != "backend" {
		t.Errorf("described as %v", who)
	}
}

func TestChallengeReachesAClientThatWaitsForIt(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	if first := p.read(); first["event"] != "connect.challenge" {
		t.Fatalf("first came %v", first)
	}
	p.letIn()
}

func TestClientWithItsOwnDevicePassesUntouched(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	own := `{"type":"req", "id":"c1","method":"connect","params":{"maxProtocol":3,"device":{"id":"mine"},"auth":{"token":"mine"}}}`
	p := b.dial(t, "/", nil)
	p.send(own)
	got := p.answer()
	if got["payload"].(map[string]any)["auth"].(map[string]any)["deviceToken"] != deviceToken {
		t.Error("the hello was changed")
	}
	if raw := gateway.got()[0]["(raw)"]; raw != own {
		t.Errorf("the gateway got %s", raw)
	}
}

func TestClientIsRefused(t *testing.T) {
	const token = "the-token-of-the-whole-bridge"
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), func(o *Options, _ *Bridge) { o.Token = token })
	makeBundle(t, b.dir, "agent-1", "operator.read")
	second := makeBundle(t, b.dir, "agent-2", "operator.read", "operator.write")
	write(t, filepath.Join(second.Dir, "bridge-token"), "the-token-of-agent-2\n")
	unpaired, err := seed.OpenBundle(b.dir, "unpaired")
	if err != nil || unpaired.Identity.IsZero() {
		t.Fatal(err)
	}
	with := func(token string) string { return strings.Replace(reflecttConnect, "gateway-token", token, 1) }
	for name, c := range map[string]struct {
		path, frame string
		header      http.Header
		want        string // part of the close reason; empty where it is let in
	}{
		"with the bridge's token it is let in":                 {path: "/agent-1", frame: with(token)},
		"with the bridge's token in the header it is let in":   {path: "/agent-1", frame: reflecttConnect, header: http.Header{"Authorization": {"Bearer " + token}}},
		"with its own token it is let in":                      {path: "/agent-2", frame: with("the-token-of-agent-2")},
		"with the path of another and its own token":           {path: "/agent-1", frame: with("the-token-of-agent-2"), want: "bridge token is missing or wrong"},
		"with the bridge's token where the client has its own": {path: "/agent-2", frame: with(token), want: "bridge token is missing or wrong"},
		"with the gateway's token":                             {path: "/agent-1", frame: reflecttConnect, want: "bridge token is missing or wrong"},
		"without a token":                                      {path: "/agent-1", frame: strings.Replace(reflecttConnect, `,"auth":{"token":"gateway-token"}`, "", 1), want: "bridge token is missing or wrong"},
		"with its own device and no token of the bridge":       {path: "/agent-1", frame: `{"type":"req","id":"1","method":"connect","params":{"device":{},"auth":{"token":"` + token + `"}}}`, want: "bridge token is missing or wrong"},
		"with an unknown name":                                 {path: "/nobody", frame: with(token), want: "unknown client nobody: bootstrap seed --client nobody"},
		"with a name that is not paired yet":                   {path: "/unpaired", frame: with(token), want: "client unpaired is not paired: bootstrap seed --client unpaired"},
		"with no name":                                         {path: "/", frame: with(token), want: "the URL names no client"},
		"with a name that climbs":                              {path: "/..%2fagent-1", frame: with(token), want: "that is no name of a client"},
		"with a name that is a path":                           {path: "/agent-1/x", frame: with(token), want: "that is no name of a client"},
		"with another request first":                           {path: "/agent-1", frame: `{"type":"req","id":"1","method":"models.list"}`, want: "the first request has to be connect"},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(gateway.got())
			p := b.dial(t, c.path, c.header)
			p.send(c.frame)
			if c.want == "" {
				p.answer()
				return
			}
			if got := p.closed(); got.Code != websocket.StatusPolicyViolation || !strings.Contains(got.Reason, c.want) {
				t.Errorf("closed with %d %q", got.Code, got.Reason)
			}
			if len(gateway.got()) != before {
				t.Error("the gateway was asked all the same")
			}
		})
	}
}

func TestFirstFrameThatIsNotTextOrTooLargeIsRefused(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	if err := p.ws.Write(p.ctx, websocket.MessageBinary, []byte(reflecttConnect)); err != nil {
		t.Fatal(err)
	}
	if got := p.closed(); got.Code != websocket.StatusPolicyViolation {
		t.Errorf("binary: closed with %d %q", got.Code, got.Reason)
	}
	p = b.dial(t, "/agent-1", nil)
	p.send(strings.Replace(reflecttConnect, "1.2.3", strings.Repeat("x", maxRequest), 1))
	if got := p.closed(); got.Code != websocket.StatusMessageTooBig {
		t.Errorf("too large: closed with %d %q", got.Code, got.Reason)
	}
}

func TestRequestInFragmentsIsReadAsOne(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	w, err := p.ws.Writer(p.ctx, websocket.MessageText)
	if err != nil {
		t.Fatal(err)
	}
	for i := range len(reflecttConnect) {
		if _, err := w.Write([]byte{reflecttConnect[i]}); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	p.answer()
	checkSigned(t, gateway.got()[0], bundle, "v3", []string{"operator.read"})
}

func TestClientThatSaysNothingIsClosed(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.requestTimeout = 50 * time.Millisecond
		}
	})
	makeBundle(t, b.dir, "agent-1", "operator.read")
	if got := b.dial(t, "/agent-1", nil).closed(); got.Code != websocket.StatusPolicyViolation {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
}

func TestOlderGatewayGetsTheOlderSignature(t *testing.T) {
	var bundle seed.Bundle
	gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		device := connect["params"].(map[string]any)["device"].(map[string]any)
		signature, _ := base64.RawURLEncoding.DecodeString(device["signature"].(string))
		claim := identity.Claim{
			ClientID: "cli", ClientMode: "cli", Role: "operator", Scopes: []string{"operator.read"}, Token: deviceToken, Nonce: nonce,
			SignedAt: time.UnixMilli(int64(device["signedAt"].(float64))),
		}
		if ed25519.Verify(bundle.Identity.RawPublicKey(), []byte(claim.V2(bundle.Identity.DeviceID())), signature) {
			welcome(ctx, ws, connect)
			return
		}
		refuseWith(`{"code":"INVALID_REQUEST","message":"device signature invalid"}`, 1008, "device signature invalid")(ctx, ws, connect)
	})
	b := serve(t, gateway.url(), nil)
	bundle = makeBundle(t, b.dir, "agent-1", "operator.read")
	b.dial(t, "/agent-1", nil).letIn()
	checkSigned(t, gateway.got()[1], bundle, "v2", []string{"operator.read"})
	b.dial(t, "/agent-1", nil).letIn()
	if n := len(gateway.got()); n != 3 {
		t.Errorf("the gateway was asked %d times: the second client was not signed for the older way at once", n)
	}
}

func TestGatewayThatKnowsTheDeviceNoMoreIsAskedOnce(t *testing.T) {
	gateway := newFake(t, refuseWith(
		`{"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (x)","details":{"code":"AUTH_TOKEN_MISMATCH"}}`,
		1008, "unauthorized: gateway token mismatch (x)"))
	b := serve(t, gateway.url(), nil)
	bundle := makeBundle(t, b.dir, "agent-1", "operator.read")
	for range 3 {
		p := b.dial(t, "/agent-1", nil)
		p.send(reflecttConnect)
		if got := p.closed(); got.Code != 1008 || !strings.Contains(got.Reason, "client agent-1 is not paired: bootstrap seed --reseed agent-1") {
			t.Errorf("closed with %d %q", got.Code, got.Reason)
		}
	}
	if n := len(gateway.got()); n != 1 {
		t.Errorf("the gateway was asked %d times: after ten it locks the address out", n)
	}
	result := seed.Result{Name: "agent-1", DeviceID: bundle.Identity.DeviceID(), Token: "another-token", Scopes: []string{"operator.read"}}
	if err := bundle.Finish(result, ""); err != nil {
		t.Fatal(err)
	}
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	_ = p.closed()
	if n := len(gateway.got()); n != 2 {
		t.Error("a new device token was not tried")
	}
}

func TestRateLimitHoldsEveryClient(t *testing.T) {
	gateway := newFake(t, refuseWith(
		`{"code":"INVALID_REQUEST","message":"unauthorized: too many failed authentication attempts (retry later)","details":{"code":"AUTH_RATE_LIMITED"}}`,
		1008, "unauthorized: too many failed"))
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	makeBundle(t, b.dir, "agent-2", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	if got := p.closed(); got.Reason != "unauthorized: too many failed" {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if got := b.dial(t, "/agent-2", nil).closed(); got.Code != 1008 || !strings.Contains(got.Reason, "too many failed") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if n := len(gateway.got()); n != 1 {
		t.Errorf("the gateway was asked %d times", n)
	}
}

func TestPendingRequestIsNamed(t *testing.T) {
	const id = "88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
	gateway := newFake(t, refuseWith(`{"code":"NOT_PAIRED","message":"pairing required","details":{"code":"PAIRING_REQUIRED","requestId":"`+id+`"}}`, 1008, "pairing required"))
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	if got := p.closed(); !strings.Contains(got.Reason, "openclaw devices approve "+id) {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if refused := b.seen(Refused); len(refused) != 1 || refused[0].Hint != "openclaw devices approve "+id {
		t.Errorf("events: %+v", refused)
	}
}

// ready asks the bridge's own /readyz.
func ready(t *testing.T, b *served, header http.Header) (int, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.address+"/readyz", nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range header {
		request.Header[name] = values
		if name == "Host" {
			request.Host = values[0]
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || !json.Valid(body) && response.StatusCode != http.StatusForbidden {
		t.Fatalf("%s: %v", body, err)
	}
	return response.StatusCode, string(body)
}
