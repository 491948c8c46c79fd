package approve

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// Options say which device is paired with what.
type Options struct {
	Gateway
	// Identity signs: without its key nobody can ask in its name, so a device
	// whose secret lies elsewhere cannot be paired this way.
	Identity identity.Identity
	// Scopes are asked for exactly. The role is operator.
	Scopes []string
	// DisplayName is what the gateway lists the device as, where it keeps names.
	DisplayName string
	// Platform is pinned by the gateway: the device has to send the same one
	// ever after. Empty is linux.
	Platform string
	// DeviceFamily is pinned as well; empty is none.
	DeviceFamily string
	// ClientID and ClientMode are what the device calls itself; empty is cli.
	ClientID   string
	ClientMode string
	// Wait is how long a gateway that is not ready is waited for; zero is not.
	Wait time.Duration
	// Progress, if set, is called before every pause.
	Progress func(probe.Waiting)
}

// How tells how a device came in.
type How string

const (
	// LetIn: the gateway asked nobody, as all do on loopback with a new device;
	// or the device was paired before.
	LetIn How = "let-in"
	// Approved: the device's request was approved over a second connection.
	Approved How = "approved"
)

// Result is a device that is paired, and proven to be.
type Result struct {
	// DeviceToken is a secret. It replaces any that the device had before.
	DeviceToken string
	// Scopes are those that the proof was let in with: all that were asked. The
	// device may have had others before; they stay.
	Scopes []string
	How    How
	// Server is the gateway's release; "dev" up to 2026.2.26.
	Server string
}

// Error says why a device could not be paired; which way that was tried is the
// caller's to say. Verdict is the gateway's last answer to the device; its Outcome
// is empty where that was not the fault.
type Error struct {
	Verdict probe.Verdict
	Err     error
}

func (e *Error) Error() string {
	if e.Err != nil {
		return e.Err.Error()
	}
	return e.Verdict.Message
}

func (e *Error) Unwrap() error { return e.Err }
func (e *Error) Hint() string  { return e.Verdict.Hint() }

// maxAsked is how often the device asks: once, once more after a stale request
// of its own was cleared away, and once after the approval.
const maxAsked = 3

// PairOverLoopback pairs a device of ours with a gateway that runs here and
// whose store we cannot write. The device asks with the gateway's secret for
// exactly these scopes. If it is not let in, its own request is approved: the
// one the gateway named, by this device and key, for nothing beyond. At the end
// stands the proof by the device token alone.
//
// It does not know who was removed on purpose: on loopback the gateway lets a
// removed device in again. Errors are [*Error].
func PairOverLoopback(ctx context.Context, opts Options) (Result, error) {
	if err := opts.check(); err != nil {
		return Result{}, &Error{Err: err}
	}
	how, err := opts.enter(ctx)
	if err != nil {
		return Result{}, err
	}
	return opts.prove(ctx, how)
}

// prove fetches the device token and shows that it is enough.
func (o Options) prove(ctx context.Context, how How) (Result, error) {
	hello, err := o.hello(ctx)
	if errors.As(err, new(*protocol.Refusal)) || errors.As(err, new(*protocol.TransportError)) {
		return Result{}, &Error{Verdict: probe.Judge(probe.AuthShared, o.URL, err)}
	}
	if err != nil {
		return Result{}, &Error{Err: err}
	}
	verdict := probe.Run(ctx, o.probe(probe.AuthDevice, hello.Auth.DeviceToken))
	if verdict.OK && len(verdict.Scopes) < len(o.Scopes) {
		verdict.OK, verdict.Outcome = false, probe.UpgradeWanted
	}
	if !verdict.OK {
		return Result{}, &Error{Verdict: verdict}
	}
	return Result{
		DeviceToken: hello.Auth.DeviceToken, Scopes: verdict.Scopes, How: how, Server: hello.ServerVersion,
	}, nil
}

func (o Options) check() error {
	if o.Identity.IsZero() {
		return errors.New("there is no device identity")
	}
	return o.Gateway.check()
}

// enter asks until the device is let in by the gateway's secret. It asks again
// only after it has answered the request that the refusal named.
func (o Options) enter(ctx context.Context) (How, error) {
	how := LetIn
	for range maxAsked {
		verdict := probe.Run(ctx, o.probe(probe.AuthShared, ""))
		if verdict.OK {
			return how, nil
		}
		asks := verdict.Outcome == probe.NotPaired || verdict.Outcome == probe.UpgradeWanted
		if !asks || verdict.RequestID == "" || how == Approved {
			return "", &Error{Verdict: verdict}
		}
		approved, err := o.answer(ctx, o.openHere, verdict.RequestID)
		if err != nil {
			return "", &Error{Verdict: verdict, Err: err}
		}
		if approved {
			how = Approved
		}
	}
	return "", &Error{Err: errors.New("the gateway keeps changing what the device asks for")}
}

// answer approves our own request, or rejects it where it asks for something
// else than we do now: gateways join a pending request with the next one
// (2026.3.22 and later) or keep it as it was (before).
func (o Options) answer(ctx context.Context, open func(context.Context) (*Caller, error), requestID string) (approved bool, err error) {
	caller, err := open(ctx)
	if err != nil {
		return false, fmt.Errorf("no connection that may approve: %w", err)
	}
	defer caller.Close()
	pending, paired, err := List(ctx, caller.Client)
	if err != nil {
		return false, err
	}
	i := slices.IndexFunc(pending, func(r Request) bool { return r.RequestID == requestID })
	if i < 0 {
		return false, fmt.Errorf("the gateway does not list the request %s that it named", requestID)
	}
	if !o.isOurs(pending[i].Device) {
		return false, fmt.Errorf("the request %s is not by this device and key: it is not approved", requestID)
	}
	if !o.asksThis(pending[i], paired) {
		return false, Reject(ctx, caller.Client, requestID)
	}
	device, err := Approve(ctx, caller.Client, requestID)
	if err != nil {
		return false, err
	}
	if !o.isOurs(device.Device) {
		return false, fmt.Errorf("the gateway approved the device %s instead", protocol.Clean(device.DeviceID))
	}
	return true, nil
}

func (o Options) openHere(ctx context.Context) (*Caller, error) { return Open(ctx, o.Gateway) }

func (o Options) isOurs(device Device) bool {
	return device.DeviceID == o.Identity.DeviceID() && device.PublicKey == o.Identity.PublicKey()
}

// asksThis tells whether the request is for our role and scopes, and for nothing
// beyond but what the device has anyway.
func (o Options) asksThis(request Request, paired []Paired) bool {
	allowed := o.Scopes
	for _, device := range paired {
		if o.isOurs(device.Device) {
			allowed = slices.Concat(allowed, device.Scopes)
		}
	}
	return slices.Equal(request.Roles, []string{"operator"}) &&
		subset(o.Scopes, request.Scopes) && subset(request.Scopes, allowed)
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

// hello connects once more, for the device token, which a verdict never holds.
func (o Options) hello(ctx context.Context) (*protocol.Hello, error) {
	conn, hello, err := o.connect(ctx, o.probe(probe.AuthShared, "").Request(protocol.SignatureV3))
	if err != nil {
		return nil, err
	}
	_ = conn.Close()
	conn.CloseNow()
	if hello.Auth.DeviceToken == "" {
		return nil, errors.New("the gateway let the device in but gave it no device token")
	}
	return hello, nil
}

func (o Options) probe(auth probe.Auth, deviceToken string) probe.Options {
	return probe.Options{
		URL: o.URL, TLS: o.TLS, Auth: auth, Identity: o.Identity, Scopes: o.Scopes,
		DeviceToken: deviceToken, GatewayToken: o.Token, GatewayPassword: o.Password,
		ClientID: o.ClientID, ClientMode: o.ClientMode,
		DisplayName: o.DisplayName, Version: o.Version, Platform: o.Platform, DeviceFamily: o.DeviceFamily,
		Wait: o.Wait, Progress: o.Progress,
	}
}
