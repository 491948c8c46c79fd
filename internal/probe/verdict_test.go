package probe

import (
	"bufio"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

func TestEveryRecordedRefusalHasItsOutcome(t *testing.T) {
	file, err := os.Open("../protocol/testdata/refusals.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r struct {
			Release, Case string
			Auth          Auth
			Kind          protocol.RefusalKind
			Outcome       Outcome
		}
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		t.Run(r.Release+" "+r.Case, func(t *testing.T) {
			if got := outcomeOf(r.Auth, r.Kind); got != r.Outcome {
				t.Errorf("outcome is %s, want %s", got, r.Outcome)
			}
		})
	}
}

func TestWhatBeingLetInProves(t *testing.T) {
	hello := func(method, mode, deviceToken string) *protocol.Hello {
		h := &protocol.Hello{Auth: protocol.HelloAuth{Method: method, DeviceToken: deviceToken, Scopes: []string{"operator.admin"}}}
		if mode != "" {
			h.Snapshot = json.RawMessage(`{"authMode":"` + mode + `"}`)
		}
		return h
	}
	for name, test := range map[string]struct {
		auth  Auth
		hello *protocol.Hello
		want  Outcome
	}{
		"2026.9.6, by the device token":                  {AuthDevice, hello("device-token", "token", "device-secret"), OK},
		"2026.9.6, the token shown was the gateway's":    {AuthDevice, hello("token", "token", "other"), NotProvable},
		"2026.9.6, auth mode none":                       {AuthDevice, hello("none", "none", "device-secret"), NotProvable},
		"2026.9.6, trusted proxy":                        {AuthDevice, hello("trusted-proxy", "", "device-secret"), NotProvable},
		"2026.9.6, trusted proxy, by the device token":   {AuthDevice, hello("device-token", "trusted-proxy", "device-secret"), OK},
		"2026.9.6, --auth token over mode none":          {AuthDevice, hello("device-token", "none", "device-secret"), OK},
		"2026.5.28, our token comes back":                {AuthDevice, hello("", "", "device-secret"), OK},
		"2026.5.28, another token comes back":            {AuthDevice, hello("", "", "other"), NotProvable},
		"2026.5.28, no token comes back":                 {AuthDevice, hello("", "token", ""), NotProvable},
		"2026.5.28, auth mode none, as an admin is told": {AuthDevice, hello("", "none", "device-secret"), NotProvable},
		"gateway token":                                  {AuthShared, hello("token", "token", "other"), OK},
		"gateway token at a gateway that asks for none":  {AuthShared, hello("none", "", ""), NotProvable},
		"no device and no token":                         {AuthNone, hello("", "", ""), NotProvable},
	} {
		t.Run(name, func(t *testing.T) {
			if got := judgeHello(options(t, test.auth).withDefaults(), test.hello); got.Outcome != test.want {
				t.Errorf("outcome is %s (%s), want %s", got.Outcome, got.Message, test.want)
			}
		})
	}
}

func TestWithNothingToShowNoConnectionIsMade(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*Options)
		want   Outcome
	}{
		"no identity":      {func(o *Options) { o.Identity = identity.Identity{} }, NotPaired},
		"no device token":  {func(o *Options) { o.DeviceToken = "" }, NotPaired},
		"no gateway token": {func(o *Options) { o.Auth, o.GatewayToken = AuthShared, "" }, GatewayAuth},
	} {
		t.Run(name, func(t *testing.T) {
			opts := options(t, AuthDevice)
			test.change(&opts)
			s := &script{answers: []error{nil}, hello: proven()}
			if v := s.run(opts); v.Outcome != test.want || v.Attempts != 0 || len(v.Hints) == 0 {
				t.Errorf("verdict is %+v", v)
			}
		})
	}
}

func TestOnlyTheCredentialAskedForIsSent(t *testing.T) {
	opts := options(t, AuthDevice).withDefaults()
	opts.GatewayPassword = "password-secret"
	device := opts.Request(protocol.SignatureV3)
	opts.Auth = AuthShared
	shared := opts.Request(protocol.SignatureV3)
	opts.Auth = AuthNone
	none := opts.Request(protocol.SignatureV3)
	if device.Token != "device-secret" || device.Password != "" {
		t.Errorf("device sends %+v", device)
	}
	if shared.Token != "gateway-secret" || shared.Password != "password-secret" {
		t.Errorf("shared sends %+v", shared)
	}
	if none.Token != "" || none.Password != "" || !none.Identity.IsZero() {
		t.Errorf("none sends %+v", none)
	}
}

func TestHintsNameTheNextCommand(t *testing.T) {
	const id = "88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
	for name, test := range map[string]struct {
		err  error
		want string
	}{
		"not paired": {&protocol.Refusal{Kind: protocol.NotPaired, RequestID: id}, "openclaw devices approve " + id},
		"scopes":     {&protocol.Refusal{Kind: protocol.ScopeUpgrade, RequestID: id, ApprovedScopes: []string{"operator.read"}}, "operator.read"},
		"unknown":    {&protocol.Refusal{Kind: protocol.AuthToken, DetailCode: "AUTH_TOKEN_MISMATCH"}, "bootstrap seed"},
		"starting":   {&protocol.Refusal{Kind: protocol.Starting}, "--wait"},
		"refused":    {transport(protocol.Refused), "--wait"},
		"protocol":   {&protocol.Refusal{Kind: protocol.Protocol, ExpectedProtocol: 5}, "protocol 5"},
		"clock behind": {&protocol.Refusal{Kind: protocol.DeviceAuth, Message: "device signature expired", ClockOffset: 130 * time.Second},
			"this machine's clock is 2m10s behind the gateway's"},
		"clock ahead": {&protocol.Refusal{Kind: protocol.DeviceAuth, Message: "device signature expired", ClockOffset: -700 * time.Second},
			"this machine's clock is 11m40s ahead of the gateway's"},
		"locked out": {&protocol.Refusal{Kind: protocol.RateLimited, RetryAfterMs: 299_750}, "wait 5m0s"},
		"store":      {&protocol.Refusal{Kind: protocol.InternalClose, CloseCode: 1000}, "token without scopes"},
		"redirect":   {&protocol.TransportError{Kind: protocol.HTTP, Status: 301, Location: "https://x", Err: transport(protocol.HTTP)}, "https://x"},
		"proxy":      {&protocol.TransportError{Kind: protocol.HTTP, Status: 403, Body: "proxy_attribution_required", Err: transport(protocol.HTTP)}, "gateway.trustedProxies"},
		"tls":        {&protocol.TransportError{Kind: protocol.TLS, Err: &protocol.PinError{Got: "abcd"}}, "abcd"},
	} {
		t.Run(name, func(t *testing.T) {
			v := (&script{answers: []error{test.err}}).run(options(t, AuthDevice))
			if !strings.Contains(strings.Join(v.Hints, "\n"), test.want) {
				t.Errorf("hints are %q, want %q in them", v.Hints, test.want)
			}
			if v.Message == "" || strings.Contains(v.Message, "\n") {
				t.Errorf("message is %q", v.Message)
			}
		})
	}
}

func TestVerdictAsJSONKeepsItsFieldsAndHoldsNoSecret(t *testing.T) {
	v := (&script{answers: []error{nil}, hello: proven()}).run(options(t, AuthDevice))
	got, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"outcome":"ok","ok":true,"url":"ws://127.0.0.1:1","auth":"device","deviceId":"` + v.DeviceID +
		`","protocol":4,"role":"operator","scopes":["operator.read"],"elapsedMs":0,"attempts":1,"message":"paired: let in with the device token alone"}`
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// It spoke of protocol versions, and ended with 16.
func TestABridgesOwnNoIsNoMatterOfTheProtocol(t *testing.T) {
	refused := &protocol.Refusal{Kind: protocol.Bridge, Message: "bridge: a device of its own is passed on from this machine only", CloseCode: 1008}
	v := judgeRefusal(options(t, AuthShared), refused)
	if v.Outcome != GatewayAuth || v.Message != "refused by a bridge: a device of its own is passed on from this machine only" ||
		len(v.Hints) != 1 || !strings.Contains(v.Hints[0], "bridge token") {
		t.Errorf("got %+v", v)
	}
}

func TestEveryRefusalKindHasAnOutcomeAndAMessage(t *testing.T) {
	known := map[Outcome]bool{}
	for _, o := range Outcomes() {
		known[o] = true
	}
	for _, kind := range []protocol.RefusalKind{
		protocol.NotPaired, protocol.RoleUpgrade, protocol.ScopeUpgrade, protocol.MetadataUpgrade, protocol.TokenScope,
		protocol.DeviceRequired, protocol.AuthToken, protocol.AuthSetup, protocol.DeviceToken, protocol.RateLimited,
		protocol.Protocol, protocol.DeviceAuth, protocol.Origin, protocol.Starting, protocol.InternalClose,
		protocol.Schema, protocol.Bridge, protocol.AuthChanged, protocol.Unknown, "from-the-future",
	} {
		for _, auth := range []Auth{AuthDevice, AuthShared, AuthNone} {
			o := options(t, auth)
			v := judgeRefusal(o, &protocol.Refusal{Kind: kind, CloseCode: 1008})
			if !known[v.Outcome] || v.Outcome == OK || v.Message == "" || strings.HasSuffix(v.Message, ": ") {
				t.Errorf("%s with %s gives %+v", kind, auth, v)
			}
		}
	}
}
