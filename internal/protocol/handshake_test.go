package protocol

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/reflectt/bootstrap/internal/identity"
)

// serve runs a fake gateway for faults and timing; formats are recorded ones.
func serve(t *testing.T, handle func(ctx context.Context, ws *websocket.Conn)) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" {
			t.Errorf("an Origin header was sent: %s", origin)
		}
		if extensions := r.Header.Get("Sec-WebSocket-Extensions"); extensions != "" {
			t.Errorf("extensions were offered: %s", extensions)
		}
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer func() { _ = ws.CloseNow() }()
		handle(r.Context(), ws)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

func say(ctx context.Context, ws *websocket.Conn, frame string) {
	_ = ws.Write(ctx, websocket.MessageText, []byte(frame))
}

const challengeFrame = `{"type":"event","event":"connect.challenge","payload":{"nonce":"17dc7654","ts":1795362805122,"capabilities":["x"]}}`

func shake(t *testing.T, url string, req ConnectRequest) (*Hello, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	conn, err := Dial(ctx, DialOptions{URL: url})
	if err != nil {
		return nil, err
	}
	defer conn.CloseNow()
	return Handshake(ctx, conn, req)
}

func testIdentity(t *testing.T) identity.Identity {
	t.Helper()
	id, err := identity.FromSeed(make([]byte, 32), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestHandshakeSignsTheChallengeAndReadsALargeHello(t *testing.T) {
	var params connectParams
	url := serve(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, `{"type":"event","event":"presence","payload":{}}`)
		say(ctx, ws, challengeFrame)
		_, data, err := ws.Read(ctx)
		if err != nil {
			return
		}
		var frame Frame
		_ = json.Unmarshal(data, &frame)
		_ = json.Unmarshal(frame.Params, &params)
		say(ctx, ws, `{"type":"event","event":"tick"}`)
		say(ctx, ws, `{"type":"res","id":"`+frame.ID+`","ok":true,"payload":{"type":"hello-ok","protocol":4,`+
			`"server":{"version":"2026.9.6","connId":"c"},"auth":{"method":"device-token","role":"operator","scopes":["operator.read"],"deviceToken":"t"},`+
			`"policy":{"maxPayload":26214400,"tickIntervalMs":30000},"snapshot":{"authMode":"token"},"pad":"`+strings.Repeat("x", 1<<20)+`"}}`)
		_, _, _ = ws.Read(ctx)
	})
	id := testIdentity(t)
	hello, err := shake(t, url, ConnectRequest{
		Identity: id, ClientID: "cli", ClientMode: "cli", Platform: "Linux", Version: "1", Role: "operator",
		Scopes: []string{"operator.read"}, Token: "t",
	})
	if err != nil {
		t.Fatal(err)
	}
	if hello.Protocol != 4 || hello.ServerVersion != "2026.9.6" || hello.Auth.Method != "device-token" ||
		hello.AuthMode() != "token" || hello.TickInterval != 30*time.Second {
		t.Errorf("hello is %+v", hello)
	}
	claim := identity.Claim{
		ClientID: "cli", ClientMode: "cli", Role: "operator", Scopes: []string{"operator.read"}, Token: "t",
		SignedAt: time.UnixMilli(params.Device.SignedAt), Nonce: "17dc7654", Platform: "linux",
	}
	key, _ := base64.RawURLEncoding.DecodeString(params.Device.PublicKey)
	signature, _ := base64.RawURLEncoding.DecodeString(params.Device.Signature)
	if !ed25519.Verify(key, []byte(claim.V3(id.DeviceID())), signature) {
		t.Error("the v3 signature does not hold")
	}
	if params.MinProtocol != 3 || params.MaxProtocol != 4 || params.Auth.Token != "t" {
		t.Errorf("params are %+v", params)
	}
}

func TestRequestWithoutDeviceHasNoDeviceNoAuthAndAnEmptyScopeList(t *testing.T) {
	data, err := ConnectRequest{ClientID: "cli", Role: "operator"}.params("n", time.Now())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"minProtocol":3,"maxProtocol":4,"client":{"id":"cli","version":"","platform":"","mode":""},"role":"operator","scopes":[]}`
	if string(data) != want {
		t.Errorf("got  %s\nwant %s", data, want)
	}
}

func TestHandshakeReportsARefusalWithItsCloseFrameAndTheClockOffset(t *testing.T) {
	url := serve(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, challengeFrame)
		_, _, _ = ws.Read(ctx)
		say(ctx, ws, `{"type":"res","id":"connect","ok":false,"error":{"code":"INVALID_REQUEST","message":"device signature expired","details":{"code":"DEVICE_AUTH_SIGNATURE_EXPIRED"}}}`)
		_ = ws.Close(1008, "device signature expired")
	})
	_, err := shake(t, url, ConnectRequest{Identity: testIdentity(t)})
	var refusal *Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("error is %v", err)
	}
	want := time.Until(time.UnixMilli(1795362805122))
	if refusal.Kind != DeviceAuth || refusal.CloseCode != 1008 || (refusal.ClockOffset-want).Abs() > time.Minute {
		t.Errorf("refusal is %+v", refusal)
	}
}

func TestCloseWithoutAnswerIsARefusalToo(t *testing.T) {
	for name, test := range map[string]struct {
		code   int
		reason string
		want   RefusalKind
	}{
		"handler died":   {1000, "", InternalClose},
		"starting":       {1013, "gateway starting", Starting},
		"shutting down":  {1012, "gateway shutting down", Starting},
		"auth changed":   {4001, "gateway auth changed", AuthChanged},
		"not paired":     {1008, "pairing required", NotPaired},
		"frame too big":  {1009, "preauth payload too large", Schema},
		"something else": {1008, "no such thing yet", Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(ctx context.Context, ws *websocket.Conn) {
				say(ctx, ws, challengeFrame)
				_, _, _ = ws.Read(ctx)
				_ = ws.Close(websocket.StatusCode(test.code), test.reason)
			})
			_, err := shake(t, url, ConnectRequest{})
			var refusal *Refusal
			if !errors.As(err, &refusal) || refusal.Kind != test.want || refusal.CloseCode != test.code {
				t.Errorf("error is %#v", err)
			}
		})
	}
}

func TestPeerThatIsNoGatewayIsSaidToBeNone(t *testing.T) {
	for name, handle := range map[string]func(context.Context, *websocket.Conn){
		"talks something else": func(ctx context.Context, ws *websocket.Conn) { say(ctx, ws, "hello") },
		"challenge without nonce": func(ctx context.Context, ws *websocket.Conn) {
			say(ctx, ws, `{"type":"event","event":"connect.challenge"}`)
		},
		"answers with no hello": func(ctx context.Context, ws *websocket.Conn) {
			say(ctx, ws, challengeFrame)
			say(ctx, ws, `{"type":"res","id":"connect","ok":true,"payload":{}}`)
		},
		"gives a token that no gateway makes": func(ctx context.Context, ws *websocket.Conn) {
			say(ctx, ws, challengeFrame)
			say(ctx, ws, `{"type":"res","id":"connect","ok":true,"payload":{"type":"hello-ok","auth":{"deviceToken":"$(id>PWNED)"}}}`)
		},
		"sends events without end": func(ctx context.Context, ws *websocket.Conn) {
			for range 2 * maxEarlyFrames {
				say(ctx, ws, `{"type":"event","event":"x"}`)
			}
		},
		"never answers, only events": func(ctx context.Context, ws *websocket.Conn) {
			say(ctx, ws, challengeFrame)
			for range 2 * maxEarlyFrames {
				say(ctx, ws, `{"type":"event","event":"x"}`)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(ctx context.Context, ws *websocket.Conn) {
				handle(ctx, ws)
				_, _, _ = ws.Read(ctx)
				_, _, _ = ws.Read(ctx)
			})
			_, err := shake(t, url, ConnectRequest{})
			var transport *TransportError
			if !errors.As(err, &transport) || transport.Kind != NotGateway {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestSilentGatewayEndsWithTheContext(t *testing.T) {
	url := serve(t, func(ctx context.Context, ws *websocket.Conn) { _, _, _ = ws.Read(ctx) })
	conn, err := Dial(context.Background(), DialOptions{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err = Handshake(ctx, conn, ConnectRequest{})
	var transport *TransportError
	if !errors.As(err, &transport) || transport.Kind != Timeout {
		t.Errorf("error is %v", err)
	}
}

func TestConnectionCutInTheMiddleIsLost(t *testing.T) {
	url := serve(t, func(ctx context.Context, ws *websocket.Conn) {
		say(ctx, ws, challengeFrame)
		_, _, _ = ws.Read(ctx)
		_ = ws.CloseNow()
	})
	_, err := shake(t, url, ConnectRequest{})
	var transport *TransportError
	if !errors.As(err, &transport) || transport.Kind != Lost {
		t.Errorf("error is %v", err)
	}
}
