// Package probe owns the proof that a device is let in: it gets one handshake
// done, with retries and a deadline, and turns the answer into a
// [Verdict] with the next command to type.
//
// It retries only what can clear up without a person: nobody listening yet, a gateway that
// is starting. It never repeats a refusal for authentication or pairing: from
// 2026.5.28 on ten failures within a minute lock an address out for five.
// It writes nothing, prints nothing and chooses no exit code.
package probe

import (
	"cmp"
	"context"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// Auth is what the probe proves itself with.
type Auth string

const (
	// AuthDevice is the proof of pairing: the device identity and its device
	// token, alone. Refused, it leaves no pairing request behind, except for a
	// metadata change.
	AuthDevice Auth = "device"
	// AuthShared is the device identity and the gateway's token or password.
	// On loopback that lets any device in and so proves nothing about pairing;
	// it also pairs the device, and where the scopes asked are wider than the
	// device's it widens them and replaces its token, which ends the old one
	// (seen on 2026.2.26, 2026.8.2 and 2026.9.6; 2026.5.28 refuses).
	AuthShared Auth = "shared"
	// AuthNone brings no device and no token.
	AuthNone Auth = "none"
)

// Options name the gateway, the credential and the scopes. Empty client fields mean cli, cli, linux.
type Options struct {
	URL  string
	TLS  protocol.TLSOptions
	Auth Auth
	// Identity signs, except with AuthNone.
	Identity identity.Identity
	// DeviceToken is AuthDevice's, GatewayToken and GatewayPassword are
	// AuthShared's. The others are not sent.
	DeviceToken     string
	GatewayToken    string
	GatewayPassword string
	// Role defaults to operator. Scopes are asked as given.
	Role   string
	Scopes []string

	ClientID     string
	ClientMode   string
	DisplayName  string
	Version      string
	Platform     string
	DeviceFamily string

	// Wait is how long a gateway that does not answer yet is waited for; zero
	// means one try.
	Wait time.Duration
	// Started: the gateway was started by us, on this machine. It is asked every
	// 100 ms until it answers, not when it wants its many clients to come again; and
	// whether it still starts, before a handshake.
	Started bool
	// Progress, if set, is called before every pause, in Run's own goroutine.
	Progress func(Waiting)

	// Command, if set, writes a command of bootstrap out for a hint, with the
	// flags that it needs here.
	Command func(name string, arguments ...string) string
}

// Waiting says why the probe is about to pause.
type Waiting struct {
	Elapsed time.Duration
	// Remaining is the time left until the deadline.
	Remaining time.Duration
	Reason    string
}

// Run makes the handshake and judges the answer. A context that ends yields
// the verdict on what was seen so far.
func Run(ctx context.Context, opts Options) Verdict {
	r := &runner{opts: opts.withDefaults(), now: time.Now, pause: pause, connect: connect, starting: starting}
	return r.run(ctx)
}

func (o Options) withDefaults() Options {
	o.Role, o.Auth = cmp.Or(o.Role, "operator"), cmp.Or(o.Auth, AuthDevice)
	o.ClientID, o.ClientMode = cmp.Or(o.ClientID, "cli"), cmp.Or(o.ClientMode, "cli")
	o.Platform, o.Version = cmp.Or(o.Platform, "linux"), cmp.Or(o.Version, "dev")
	return o
}

// Request is the connect request of one attempt.
func (o Options) Request(signature protocol.Signature) protocol.ConnectRequest {
	o = o.withDefaults()
	request := protocol.ConnectRequest{
		Signature: signature,
		ClientID:  o.ClientID, ClientMode: o.ClientMode, DisplayName: o.DisplayName, Version: o.Version,
		Platform: o.Platform, DeviceFamily: o.DeviceFamily, Role: o.Role, Scopes: o.Scopes,
	}
	switch o.Auth {
	case AuthDevice:
		request.Identity, request.Token = o.Identity, o.DeviceToken
	case AuthShared:
		request.Identity, request.Token, request.Password = o.Identity, o.GatewayToken, o.GatewayPassword
	}
	return request
}

// connect is one attempt on a connection of its own.
func connect(ctx context.Context, opts Options, signature protocol.Signature) (*protocol.Hello, error) {
	conn, hello, err := protocol.Connect(ctx, protocol.DialOptions{URL: opts.URL, TLS: opts.TLS}, opts.Request(signature))
	if err != nil {
		return nil, err
	}
	defer conn.CloseNow()
	// A proper close keeps the gateway's log free of "abnormal closure".
	_ = conn.Close()
	return hello, nil
}

func starting(ctx context.Context, opts Options) bool {
	return protocol.IsStarting(ctx, protocol.DialOptions{URL: opts.URL, TLS: opts.TLS})
}
