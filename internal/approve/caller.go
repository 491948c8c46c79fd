package approve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// Gateway is a running gateway on this machine, and its own secret.
type Gateway struct {
	// URL names loopback: there alone the secret is enough to approve.
	URL string
	TLS protocol.TLSOptions
	// Token or Password is the gateway's.
	Token    string
	Password string
	// Version is ours, for the gateway's log.
	Version string
}

// Caller is a connection that may list and approve. Close ends it.
type Caller struct {
	*protocol.Client
	// Server is the gateway's release ("dev" up to 2026.2.26), AuthMode its
	// gateway.auth.mode; empty where the gateway does not say.
	Server   string
	AuthMode string
	// stored is the throwaway device that an older gateway has paired for us.
	stored string
}

// callerScopes are enough to approve any operator request on every release.
func callerScopes() []string { return []string{"operator.admin", "operator.pairing"} }

// Open connects as an administrator by the gateway's own secret, and leaves no
// device behind. The events named can be read with NextEvent.
//
// The first try has no device: 2026.4.29 and later leave the client
// "gateway-client" in mode "backend" its scopes on loopback, 2026.2.26 leaves
// them to anybody. Where the scopes come back empty (2026.3.13), a second try
// signs with a key that is then forgotten; 2026.3.13 and later let such a
// client in without pairing it, older gateways pair it and Close removes it.
//
// Errors are those of [protocol.Dial], [protocol.Handshake] and the call of
// device.pair.list, and none is tried again.
func Open(ctx context.Context, gateway Gateway, events ...string) (*Caller, error) {
	if err := gateway.check(); err != nil {
		return nil, fmt.Errorf("cannot pair over loopback: %w", err)
	}
	caller, err := gateway.open(ctx, identity.Identity{}, events)
	if err == nil || !needsDevice(err) {
		return caller, err
	}
	throwaway, err := identity.New(time.Now())
	if err != nil {
		return nil, err
	}
	return gateway.open(ctx, throwaway, events)
}

// OpenAs connects as an administrator by a device of ours: its token has to have
// operator.admin, because from 2026.5.28 on others are shown their own device
// only. It goes to any machine: a device token is no secret of the gateway's.
func OpenAs(ctx context.Context, gateway Gateway, device identity.Identity, deviceToken string, events ...string) (*Caller, error) {
	gateway.Token, gateway.Password = deviceToken, ""
	conn, hello, err := gateway.connect(ctx, protocol.ConnectRequest{
		Identity: device, ClientID: "cli", ClientMode: "cli", Platform: "linux", Scopes: callerScopes(),
	})
	if err != nil {
		return nil, err
	}
	return &Caller{Client: protocol.NewClient(conn, events...), Server: hello.ServerVersion, AuthMode: hello.AuthMode()}, nil
}

// needsDevice tells whether the gateway withheld the scopes because no device was shown.
func needsDevice(err error) bool {
	if refusal := (*protocol.Refusal)(nil); errors.As(err, &refusal) {
		return refusal.Kind == protocol.DeviceRequired
	}
	refused := (*protocol.RPCError)(nil)
	return errors.As(err, &refused) && refused.MissingScope() != ""
}

func (g Gateway) open(ctx context.Context, device identity.Identity, events []string) (*Caller, error) {
	request := protocol.ConnectRequest{
		Identity: device,
		ClientID: "gateway-client", ClientMode: "backend", Platform: "linux",
		Scopes: callerScopes(),
	}
	conn, hello, err := g.connect(ctx, request)
	if err != nil {
		return nil, err
	}
	caller := &Caller{Client: protocol.NewClient(conn, events...), Server: hello.ServerVersion, AuthMode: hello.AuthMode()}
	if hello.Auth.DeviceToken != "" && !device.IsZero() {
		caller.stored = device.DeviceID()
	}
	if len(hello.SessionScopes(request.Scopes)) == len(request.Scopes) {
		return caller, nil
	}
	// Up to 2026.3.13 the hello does not tell; asking does.
	if _, _, err := List(ctx, caller.Client); err != nil {
		caller.Close()
		return nil, err
	}
	return caller, nil
}

// closeTimeout is what tidying up may take.
const closeTimeout = 5 * time.Second

// Close ends the connection, and first removes the device that it was paired
// as, if it was.
func (c *Caller) Close() {
	if c.stored != "" {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		// The gateway cuts the connection; whether before or after the answer
		// makes no difference.
		_ = Remove(ctx, c.Client, c.stored)
	}
	c.Client.Close()
}

// connect makes one handshake with the gateway's secret.
func (g Gateway) connect(ctx context.Context, request protocol.ConnectRequest) (conn *protocol.Conn, hello *protocol.Hello, err error) {
	request.Role, request.Version = "operator", cmp.Or(g.Version, "dev")
	request.Token, request.Password = g.Token, g.Password
	var signing protocol.Signing
	err = signing.Try(func(form protocol.Signature) error {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		request.Signature = form
		conn, hello, err = protocol.Connect(ctx, protocol.DialOptions{URL: g.URL, TLS: g.TLS}, request)
		return err
	})
	return conn, hello, err
}

// connectTimeout bounds one handshake; a gateway under load has been seen to
// take 2 s.
const connectTimeout = 10 * time.Second

// check refuses to show the gateway's secret to another machine.
func (g Gateway) check() error {
	if _, err := url.Parse(strings.TrimSpace(g.URL)); err != nil {
		return errors.New("the gateway URL cannot be parsed")
	}
	if !g.IsLoopback() {
		return fmt.Errorf("%s is not loopback", protocol.DisplayURL(g.URL))
	}
	if g.Token == "" && g.Password == "" {
		return errors.New("there is no gateway token or password to show")
	}
	return nil
}

// IsLoopback tells whether the gateway is reached without leaving this machine.
func (g Gateway) IsLoopback() bool {
	u, err := url.Parse(strings.TrimSpace(g.URL))
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}
