package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// ConnectRequest is the client, the role and scopes it asks for, and its credentials.
type ConnectRequest struct {
	// Identity signs; the zero value connects without a device.
	Identity  identity.Identity
	Signature Signature
	// ClientID and ClientMode come from the gateway's closed lists ("cli",
	// "cli"). Platform and DeviceFamily are pinned by some stores.
	ClientID     string
	ClientMode   string
	DisplayName  string
	Version      string
	Platform     string
	DeviceFamily string
	Role         string
	Scopes       []string
	// Token goes into auth.token, which takes a gateway token or a device token on
	// every release; up to 2026.2.19 auth.deviceToken is refused as an unknown property.
	Token    string
	Password string
}

// connectID names our one connect request on a connection.
const connectID = "connect"

// maxEarlyFrames bounds how many frames may come before the answer.
const maxEarlyFrames = 64

// closeGrace is how long a refusal's close frame is waited for: it follows the
// refusal at once and carries little that the refusal does not.
const closeGrace = 500 * time.Millisecond

// Connect dials, answers the challenge and returns a connection that the gateway
// has let in; closing it is the caller's. [Signing.Try] chooses the signature.
// Errors are those of [Dial] and [Handshake].
func Connect(ctx context.Context, opts DialOptions, req ConnectRequest) (*Conn, *Hello, error) {
	conn, err := Dial(ctx, opts)
	if err != nil {
		return nil, nil, err
	}
	hello, err := Handshake(ctx, conn, req)
	if err != nil {
		conn.CloseNow()
		return nil, nil, err
	}
	return conn, hello, nil
}

// Handshake waits for the challenge, answers it at once (2026.3.13 allows 3 s,
// others 10 s or more), and returns what the gateway says: a [Hello], a
// [*Refusal], or a [*TransportError]. The connection can be used afterwards
// only where there is no error; closing it is always the caller's.
func Handshake(ctx context.Context, conn *Conn, req ConnectRequest) (*Hello, error) {
	hello, err := handshake(ctx, conn, req)
	if closed := (*CloseError)(nil); errors.As(err, &closed) {
		return nil, NewRefusal(nil, closed)
	}
	if err == nil {
		conn.tick = hello.TickInterval
	}
	return hello, err
}

func handshake(ctx context.Context, conn *Conn, req ConnectRequest) (*Hello, error) {
	challenge, err := conn.ReadChallenge(ctx)
	if err != nil {
		return nil, err
	}
	received := time.Now()
	params, err := req.params(challenge.Nonce, received)
	if err != nil {
		return nil, err
	}
	err = conn.WriteFrame(ctx, Frame{Type: TypeRequest, ID: connectID, Method: "connect", Params: params})
	if err != nil {
		return nil, err
	}
	answer, err := readAnswer(ctx, conn)
	if err != nil {
		return nil, err
	}
	if answer.OK {
		return parseHello(answer.Payload)
	}
	refusal := NewRefusal(answer.Error, readClose(ctx, conn))
	if challenge.TS > 0 {
		refusal.ClockOffset = time.UnixMilli(challenge.TS).Sub(received).Round(time.Millisecond)
	}
	return nil, refusal
}

// Challenge is what a gateway says first, for the device to sign.
type Challenge struct {
	Nonce string `json:"nonce"`
	// TS is the gateway's clock in milliseconds.
	TS int64 `json:"ts"`
	// Raw is the whole frame as it came.
	Raw []byte `json:"-"`
}

// ReadChallenge waits for the challenge. Errors are [Conn.ReadFrame]'s.
func (c *Conn) ReadChallenge(ctx context.Context) (Challenge, error) {
	for range maxEarlyFrames {
		frame, raw, err := c.readFrame(ctx)
		if err != nil {
			return Challenge{}, err
		}
		if frame.Type != TypeEvent || frame.Event != "connect.challenge" {
			continue
		}
		challenge := Challenge{Raw: raw}
		if err := json.Unmarshal(frame.Payload, &challenge); err != nil || challenge.Nonce == "" {
			return Challenge{}, notGateway(c, "its challenge has no nonce")
		}
		return challenge, nil
	}
	return Challenge{}, notGateway(c, "it sends no challenge")
}

func readAnswer(ctx context.Context, conn *Conn) (Frame, error) {
	for range maxEarlyFrames {
		frame, err := conn.ReadFrame(ctx)
		if err != nil {
			return Frame{}, err
		}
		if frame.Type == TypeResponse && frame.ID == connectID {
			return frame, nil
		}
	}
	return Frame{}, notGateway(conn, "it does not answer the connect request")
}

func notGateway(conn *Conn, why string) error {
	return &TransportError{Kind: NotGateway, URL: conn.url, Err: errors.New("this is no gateway: " + why)}
}

// readClose waits briefly for the close frame behind a refusal.
func readClose(ctx context.Context, conn *Conn) *CloseError {
	ctx, cancel := context.WithTimeout(ctx, closeGrace)
	defer cancel()
	for range maxEarlyFrames {
		_, err := conn.ReadFrame(ctx)
		if closed := (*CloseError)(nil); errors.As(err, &closed) {
			return closed
		}
		if err != nil {
			return nil
		}
	}
	return nil
}

// connectParams is the request's form. Gateways refuse unknown properties.
type connectParams struct {
	MinProtocol int           `json:"minProtocol"`
	MaxProtocol int           `json:"maxProtocol"`
	Client      connectClient `json:"client"`
	Role        string        `json:"role"`
	Scopes      []string      `json:"scopes"`
	Device      *SignedDevice `json:"device,omitempty"`
	Auth        connectAuth   `json:"auth,omitzero"`
}

type connectClient struct {
	ID           string `json:"id"`
	DisplayName  string `json:"displayName,omitempty"`
	Version      string `json:"version"`
	Platform     string `json:"platform"`
	DeviceFamily string `json:"deviceFamily,omitempty"`
	Mode         string `json:"mode"`
}

type connectAuth struct {
	Token    string `json:"token,omitempty"`
	Password string `json:"password,omitempty"`
}

// SignedDevice is the member "device" of a connect request.
type SignedDevice struct {
	ID        string `json:"id"`
	PublicKey string `json:"publicKey"`
	Signature string `json:"signature"`
	SignedAt  int64  `json:"signedAt"`
	Nonce     string `json:"nonce"`
}

func (r ConnectRequest) params(nonce string, now time.Time) (json.RawMessage, error) {
	p := connectParams{
		MinProtocol: MinProtocol,
		MaxProtocol: MaxProtocol,
		Client: connectClient{
			ID: r.ClientID, DisplayName: r.DisplayName, Version: r.Version,
			Platform: r.Platform, DeviceFamily: r.DeviceFamily, Mode: r.ClientMode,
		},
		Role: r.Role,
		// An absent list is not the same as an empty one on 2026.2.9.
		Scopes: append([]string{}, r.Scopes...),
		Auth:   connectAuth{Token: r.Token, Password: r.Password},
	}
	if !r.Identity.IsZero() {
		p.Device = SignDevice(r.Identity, r.Signature, identity.Claim{
			ClientID: r.ClientID, ClientMode: r.ClientMode, Role: r.Role, Scopes: r.Scopes,
			SignedAt: now, Token: r.Token, Nonce: nonce, Platform: r.Platform, DeviceFamily: r.DeviceFamily,
		})
	}
	data, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("cannot write connect request: %w", err)
	}
	return data, nil
}

// SignDevice is a device that claims to connect so.
func SignDevice(device identity.Identity, signature Signature, claim identity.Claim) *SignedDevice {
	id := device.DeviceID()
	payload := claim.V3(id)
	if signature == SignatureV2 {
		payload = claim.V2(id)
	}
	return &SignedDevice{
		ID: id, PublicKey: device.PublicKey(), Signature: device.Sign(payload),
		SignedAt: claim.SignedAt.UnixMilli(), Nonce: claim.Nonce,
	}
}
