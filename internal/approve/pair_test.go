package approve

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/probe"
)

var readWrite = []string{"operator.read", "operator.write"}

// asks is a gateway that knows no device and asks about ours: each connect with
// the gateway's secret leaves the request that entries names, the last one for
// ever, until one was approved.
type asks struct {
	entries []map[string]any
	// again is answered to connects after the approval; empty is a hello.
	again string
	// approval is the device that the approval names; nil is the request's.
	approval map[string]any
	// noToken leaves the device token out of the hello; proof is what the device
	// token earns.
	noToken bool
	proof   string

	asked    int
	approved bool
}

func ourEntry(t testing.TB, changes map[string]any) map[string]any {
	id := testIdentity(t)
	entry := map[string]any{
		"requestId": requestID, "deviceId": id.DeviceID(), "publicKey": id.PublicKey(),
		"role": "operator", "roles": []string{"operator"}, "scopes": readWrite,
	}
	for name, value := range changes {
		entry[name] = value
	}
	return entry
}

func (a *asks) connect(c connectParams) ([]string, string, string) {
	switch {
	case c.Client.ID == "gateway-client":
		return c.Scopes, "", ""
	case c.Auth.Token == deviceSecret:
		return c.Scopes, deviceSecret, a.proof
	case a.approved && a.noToken:
		return c.Scopes, "", a.again
	case a.approved:
		return c.Scopes, deviceSecret, a.again
	}
	a.asked++
	return nil, "", notPaired(requestID)
}

func (a *asks) call(method string, _ map[string]string) (payload, refusal string) {
	entry := a.entries[min(max(a.asked, 1), len(a.entries))-1]
	var out []byte
	switch method {
	case "device.pair.list":
		out, _ = json.Marshal(map[string]any{"pending": []any{entry}, "paired": []any{}})
	case "device.pair.approve":
		a.approved = true
		if a.approval != nil {
			entry = a.approval
		}
		out, _ = json.Marshal(map[string]any{"requestId": requestID, "device": entry})
	default:
		out = []byte("{}")
	}
	return string(out), ""
}

func (a *asks) pair(t *testing.T) (Result, []string, error) {
	t.Helper()
	f := (&fake{connect: a.connect, call: a.call}).start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	result, err := PairOverLoopback(ctx, Options{Gateway: f.gateway(), Identity: testIdentity(t), Scopes: readWrite})
	var failed *Error
	if err != nil && !errors.As(err, &failed) {
		t.Errorf("error is %T", err)
	}
	if err != nil && (strings.Contains(err.Error(), "secret") || result.DeviceToken != "") {
		t.Errorf("a secret came with the error %v", err)
	}
	return result, f.saw(), err
}

// answers are the requests approved and rejected.
func answers(saw []string) []string {
	return slices.DeleteFunc(saw, func(line string) bool {
		return !strings.HasPrefix(line, "device.pair.approve") && !strings.HasPrefix(line, "device.pair.reject")
	})
}

func TestOwnRequestIsApprovedAndProven(t *testing.T) {
	result, saw, err := (&asks{entries: []map[string]any{ourEntry(t, nil)}}).pair(t)
	if err != nil || result.How != Approved || result.DeviceToken != deviceSecret || !slices.Equal(result.Scopes, readWrite) {
		t.Fatalf("got %+v, %v", result.Scopes, err)
	}
	want := []string{
		"connect cli " + gatewaySecret, "connect gateway-client " + gatewaySecret, "device.pair.list",
		"device.pair.approve " + requestID, "connect cli " + gatewaySecret, "connect cli " + gatewaySecret, "connect cli " + deviceSecret,
	}
	if !slices.Equal(saw, want) {
		t.Errorf("it asked %q", saw)
	}
}

func TestRequestThatIsNotExactlyOursIsNotApproved(t *testing.T) {
	for name, test := range map[string]struct {
		changes  map[string]any
		rejected bool
	}{
		"another request":   {map[string]any{"requestId": "another"}, false},
		"another device":    {map[string]any{"deviceId": strings.Repeat("0", 64)}, false},
		"another key":       {map[string]any{"publicKey": "another"}, false},
		"no key":            {map[string]any{"publicKey": nil}, false},
		"more scopes":       {map[string]any{"scopes": append([]string{"operator.admin"}, readWrite...)}, true},
		"fewer scopes":      {map[string]any{"scopes": readWrite[:1]}, true},
		"another role":      {map[string]any{"role": "node", "roles": []string{"node"}}, true},
		"a role more":       {map[string]any{"roles": []string{"operator", "node"}}, true},
		"a role out of two": {map[string]any{"role": "node"}, true},
		"unreadable scopes": {map[string]any{"scopes": "operator.read"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			_, saw, err := (&asks{entries: []map[string]any{ourEntry(t, test.changes)}}).pair(t)
			got := answers(saw)
			approvals := slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "device.pair.approve") })
			if err == nil || approvals || (len(got) > 0) != test.rejected || len(got) > maxAsked {
				t.Errorf("answered %q, error %v", got, err)
			}
		})
	}
}

func TestStaleRequestIsRejectedAndTheNextOneApproved(t *testing.T) {
	stale := ourEntry(t, map[string]any{"scopes": []string{"operator.admin"}})
	result, saw, err := (&asks{entries: []map[string]any{stale, ourEntry(t, nil)}}).pair(t)
	want := []string{"device.pair.reject " + requestID, "device.pair.approve " + requestID}
	if got := answers(saw); err != nil || result.How != Approved || !slices.Equal(got, want) {
		t.Errorf("answered %q, got %+v, %v", got, result.How, err)
	}
}

func TestPairingThatDoesNotStandIsAnError(t *testing.T) {
	other := ourEntry(t, map[string]any{"publicKey": "another"})
	ours := []map[string]any{ourEntry(t, nil)}
	for name, test := range map[string]struct {
		gateway *asks
		outcome probe.Outcome
	}{
		"the approval names another key":   {&asks{entries: ours, approval: other}, probe.NotPaired},
		"refused again after the approval": {&asks{entries: ours, again: notPaired(requestID)}, probe.NotPaired},
		"the device token is not taken":    {&asks{entries: ours, proof: unauthorized}, probe.NotPaired},
		"the hello has no device token":    {&asks{entries: ours, noToken: true}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, saw, err := test.gateway.pair(t)
			var failed *Error
			if !errors.As(err, &failed) || failed.Verdict.Outcome != test.outcome {
				t.Errorf("error is %v (%+v)", err, failed)
			}
			if got := answers(saw); len(got) != 1 {
				t.Errorf("answered %q", got)
			}
		})
	}
}

func TestRefusalForAuthenticationIsNotTriedAgain(t *testing.T) {
	f := (&fake{connect: func(connectParams) ([]string, string, string) { return nil, "", unauthorized }}).start(t)
	_, err := PairOverLoopback(context.Background(), Options{
		Gateway: f.gateway(), Identity: testIdentity(t), Scopes: readWrite, Wait: time.Minute,
	})
	var failed *Error
	if !errors.As(err, &failed) || failed.Verdict.Outcome != probe.GatewayAuth || failed.Hint() == "" || len(f.saw()) != 1 {
		t.Errorf("after %q: %v", f.saw(), err)
	}
}

func TestFewerScopesThanAskedAreAnError(t *testing.T) {
	f := (&fake{connect: func(c connectParams) ([]string, string, string) { return c.Scopes[:1], deviceSecret, "" }}).start(t)
	_, err := PairOverLoopback(context.Background(), Options{Gateway: f.gateway(), Identity: testIdentity(t), Scopes: readWrite})
	var failed *Error
	if !errors.As(err, &failed) || failed.Verdict.Outcome != probe.UpgradeWanted {
		t.Errorf("error is %v", err)
	}
}

func TestNothingIsAskedWithoutIdentityOrOffLoopback(t *testing.T) {
	f := (&fake{}).start(t)
	for name, opts := range map[string]Options{
		"no identity":  {Gateway: f.gateway()},
		"no secret":    {Gateway: Gateway{URL: f.url}, Identity: testIdentity(t)},
		"not loopback": {Gateway: Gateway{URL: "ws://192.0.2.2:1", Token: gatewaySecret}, Identity: testIdentity(t)},
	} {
		if _, err := PairOverLoopback(context.Background(), opts); err == nil || len(f.saw()) != 0 {
			t.Errorf("%s: %v after %q", name, err, f.saw())
		}
	}
}

func TestRefusalOfTheDeviceTokenIsJudged(t *testing.T) {
	for name, pair := range map[string]func(context.Context, Options) (Result, error){
		"over loopback": PairOverLoopback,
		"elsewhere":     func(ctx context.Context, o Options) (Result, error) { return Join(ctx, JoinOptions{Options: o}) },
	} {
		t.Run(name, func(t *testing.T) {
			connects := 0
			f := (&fake{connect: func(c connectParams) ([]string, string, string) {
				if connects++; connects > 1 {
					return nil, "", unauthorized
				}
				return c.Scopes, deviceSecret, ""
			}}).start(t)
			_, err := pair(t.Context(), Options{Gateway: f.gateway(), Identity: testIdentity(t), Scopes: readWrite})
			var failed *Error
			if !errors.As(err, &failed) || failed.Verdict.Outcome != probe.GatewayAuth || failed.Hint() == "" || len(f.saw()) != 2 {
				t.Errorf("after %q: %v (%+v)", f.saw(), err, failed)
			}
			// It is the caller who knows where the gateway is.
			if err != nil && strings.Contains(err.Error(), "loopback") {
				t.Errorf("got %v", err)
			}
		})
	}
}
