package probe

import (
	"cmp"
	"fmt"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// Outcome is the verdict in one word; each is one exit code of the command. It is not
// what the gateway said ([protocol.RefusalKind]), but what that means for the credential
// that was shown: AuthToken is NotPaired with AuthDevice, and GatewayAuth with AuthShared.
type Outcome string

const (
	// OK: let in. With AuthDevice that is the proof of pairing.
	OK Outcome = "ok"
	// Unreachable: no gateway answered at this URL.
	Unreachable Outcome = "unreachable"
	// StillStarting: the gateway answered that it was not ready, to the end.
	StillStarting Outcome = "still-starting"
	// NotPaired: this device with this token is unknown to the gateway: never
	// paired, removed, its token rotated or revoked, or its entry unreadable.
	NotPaired Outcome = "not-paired"
	// UpgradeWanted: paired, but role, scopes or metadata ask for approval.
	UpgradeWanted Outcome = "upgrade-wanted"
	// GatewayAuth: the gateway's own token or password is missing or wrong.
	GatewayAuth Outcome = "gateway-auth"
	// RateLimited: too many failed attempts from this address.
	RateLimited Outcome = "rate-limited"
	// ProtocolMismatch: no common protocol version or request form.
	ProtocolMismatch Outcome = "protocol-mismatch"
	// DeviceAuth: device id, key, signature, clock or nonce refused.
	DeviceAuth Outcome = "device-auth"
	// TLSOrOrigin: the certificate or the origin is not accepted.
	TLSOrOrigin Outcome = "tls-or-origin"
	// NotProvable: let in, but not because of the device token.
	NotProvable Outcome = "not-provable"
)

// Outcomes lists every outcome.
func Outcomes() []Outcome {
	return []Outcome{
		OK, Unreachable, StillStarting, NotPaired, UpgradeWanted, GatewayAuth,
		RateLimited, ProtocolMismatch, DeviceAuth, TLSOrOrigin, NotProvable,
	}
}

func (o Outcome) String() string { return string(o) }

// Verdict is what came out. Its JSON is a contract; no field holds a secret.
type Verdict struct {
	Outcome  Outcome `json:"outcome"`
	OK       bool    `json:"ok"`
	URL      string  `json:"url,omitempty"`
	Auth     Auth    `json:"auth"`
	DeviceID string  `json:"deviceId,omitempty"`
	// Protocol, Server (its release; "dev" up to 2026.2.26), Role and Scopes
	// (the session's) are known where the gateway said hello.
	Protocol int      `json:"protocol,omitempty"`
	Server   string   `json:"server,omitempty"`
	Role     string   `json:"role,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	// Refusal is the gateway's own answer where it refused.
	Refusal *protocol.Refusal `json:"refusal,omitempty"`
	// RequestID names the pairing request that the gateway now holds for five
	// minutes, if there is one.
	RequestID string `json:"requestId,omitempty"`
	// ClockOffsetMs is the gateway's clock minus ours, where a refusal told.
	ClockOffsetMs int64 `json:"clockOffsetMs,omitempty"`
	ElapsedMs     int64 `json:"elapsedMs"`
	Attempts      int   `json:"attempts"`
	// Message is one line: what happened, with the gateway's own reason.
	Message string `json:"message"`
	// Hints are what to do next, most useful first; commands where possible.
	Hints []string `json:"hints,omitempty"`
}

// Hint is the first of them; empty where there is none.
func (v Verdict) Hint() string {
	if len(v.Hints) == 0 {
		return ""
	}
	return v.Hints[0]
}

// finish fills in what every verdict says.
func (r *runner) finish(v Verdict) Verdict {
	v.OK = v.Outcome == OK
	v.Auth = r.opts.Auth
	v.URL = cmp.Or(v.URL, protocol.DisplayURL(r.opts.URL))
	if r.opts.Auth != AuthNone && !r.opts.Identity.IsZero() {
		v.DeviceID = r.opts.Identity.DeviceID()
	}
	v.Attempts = r.attempts
	v.ElapsedMs = r.now().Sub(r.start).Milliseconds()
	return v
}

// missingCredential judges what needs no connection: there is nothing to show.
func (r *runner) missingCredential() *Verdict {
	switch o := r.opts; {
	case o.Auth == AuthNone:
	case o.Identity.IsZero():
		return &Verdict{
			Outcome: NotPaired,
			Message: "there is no device identity to prove with",
			Hints:   []string{r.opts.hintSeed()},
		}
	case o.Auth == AuthDevice && o.DeviceToken == "":
		return &Verdict{
			Outcome: NotPaired,
			Message: "there is no device token to prove with: this device was not paired here",
			Hints:   []string{r.opts.hintSeed()},
		}
	case o.Auth == AuthShared && o.GatewayToken == "" && o.GatewayPassword == "":
		return &Verdict{
			Outcome: GatewayAuth,
			Message: "there is no gateway token or password to show",
			Hints:   []string{hintTokenSources},
		}
	}
	return nil
}

// judgeHello decides what being let in proves.
func judgeHello(o Options, hello *protocol.Hello) Verdict {
	v := Verdict{
		Outcome: OK, Protocol: hello.Protocol, Server: hello.ServerVersion,
		Role: cmp.Or(hello.Auth.Role, o.Role), Scopes: hello.SessionScopes(o.Scopes),
	}
	open := openGateway(hello)
	switch {
	case open != "":
		v.Outcome = NotProvable
		v.Message = fmt.Sprintf("let in, but the gateway's auth mode is %s: it asks for no token, so this proves no pairing", open)
		v.Hints = []string{"set gateway.auth.mode to token or password in openclaw.json to make device tokens count"}
	case o.Auth == AuthNone:
		v.Outcome = NotProvable
		v.Message = "let in without device and token: this gateway asks for neither"
	case o.Auth == AuthShared:
		v.Message = "let in with the gateway's own token or password"
		v.Hints = []string{"on loopback the gateway's token lets any device in; prove the pairing with: " + o.command("probe", "--auth=device")}
	case !provenByDeviceToken(o, hello):
		v.Outcome = NotProvable
		v.Message = "let in, but not by the device token: the gateway holds another one for this device"
		v.Hints = []string{
			"the token shown may be the gateway's own, or gateway.auth.mode none: neither proves a pairing",
			o.hintSeed(),
		}
	default:
		v.Message = "paired: let in with the device token alone"
	}
	if missing := len(o.Scopes) - len(v.Scopes); missing > 0 && v.Outcome == OK {
		v.Message += fmt.Sprintf(", with %d of %d scopes", len(v.Scopes), len(o.Scopes))
	}
	return v
}

// openGateway names how a gateway lets in whoever comes. One that names the method of this
// very connection (2026.9.6) is asked for nothing else: its mode may be another than that
// of its configuration (--auth), and behind a trusted proxy device tokens count, too.
func openGateway(hello *protocol.Hello) string {
	method := cmp.Or(hello.Auth.Method, hello.AuthMode())
	if method == "none" || method == "trusted-proxy" {
		return method
	}
	return ""
}

// provenByDeviceToken tells whether the store holds the very token that was
// shown. 2026.9.6 names the method. Older releases do not, and show the auth
// mode to administrators only; but all of them answer with the device's token
// from the store, and one in mode none, or one that took our token for its own,
// answers with another token than ours (seen on 2026.5.28 and 2026.9.6).
func provenByDeviceToken(o Options, hello *protocol.Hello) bool {
	if hello.Auth.Method != "" {
		return hello.Auth.Method == "device-token"
	}
	return hello.Auth.DeviceToken == o.DeviceToken
}
