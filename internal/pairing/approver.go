package pairing

import (
	"cmp"
	"context"
	"errors"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
	"github.com/reflectt/bootstrap/internal/seed"
)

// OpenApprover connects to a gateway as somebody who may approve: beside the gateway by its
// own secret, elsewhere as this state directory's device.
func (t *Target) OpenApprover(ctx context.Context, url string, events ...string) (*approve.Caller, error) {
	gateway := t.Loopback()
	gateway.URL = url
	if gateway.IsLoopback() && gateway.Token+gateway.Password != "" {
		caller, err := approve.Open(ctx, gateway, events...)
		return caller, MayNot(gateway.URL, err)
	}
	credentials, err := seed.ReadCredentials(ctx, t.SeedOptions())
	if err != nil {
		return nil, err
	}
	if credentials.Identity.IsZero() || credentials.Token == "" {
		return nil, &RefusedError{Verdict: probe.Verdict{
			Outcome: probe.NotPaired, Hints: []string{whoMay},
			Message: "nobody here may approve: the gateway is not on this machine, or its token is not known here, and this state directory has no paired device",
		}}
	}
	caller, err := approve.OpenAs(ctx, gateway, credentials.Identity, credentials.Token, events...)
	if err != nil {
		return nil, MayNot(protocol.DisplayURL(gateway.URL), err)
	}
	return caller, nil
}

// ApproverURL is the gateway that a person means: the local one unless --gateway-url names another.
func (t *Target) ApproverURL() string {
	return cmp.Or(string(t.Settings.GatewayURL), t.Listen.URL())
}

const whoMay = "beside the gateway, with its token: bootstrap approve REQUEST_ID; or with a device that has operator.admin and operator.pairing"

// RefusedError is a gateway that does not let us do something.
type RefusedError struct {
	Verdict probe.Verdict
	Cause   error // the refusal itself, where there is one
}

func (e *RefusedError) Error() string { return e.Verdict.Message }
func (e *RefusedError) Class() string { return string(e.Verdict.Outcome) }
func (e *RefusedError) Unwrap() error { return e.Cause }
func (e *RefusedError) Hint() string  { return e.Verdict.Hint() }

// MayNot says who may, where we may not. Errors of our own stay as they are.
func MayNot(url string, err error) error {
	var refusal *protocol.Refusal
	var transport *protocol.TransportError
	var refused *protocol.RPCError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.MissingScope() != "":
		return &RefusedError{Verdict: probe.Verdict{Outcome: probe.UpgradeWanted, Message: err.Error(), Hints: []string{whoMay}}}
	case errors.As(err, &refused):
		return &RefusedError{Verdict: probe.Verdict{Outcome: probe.NotPaired, Message: err.Error(), Hints: []string{"bootstrap approve --list"}}}
	case errors.As(err, &refusal), errors.As(err, &transport):
		verdict := probe.Judge(probe.AuthShared, url, err)
		if verdict.Outcome == probe.NotPaired || verdict.Outcome == probe.UpgradeWanted {
			verdict.Hints = append([]string{whoMay}, verdict.Hints...)
		}
		return &RefusedError{Verdict: verdict, Cause: err}
	}
	return err
}
