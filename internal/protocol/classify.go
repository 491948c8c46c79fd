package protocol

import "strings"

// RefusalKind is what the gateway said, on every release alike. What it means for a
// person depends on the credential that was shown, and is probe's to say (its Outcome).
type RefusalKind string

const (
	// NotPaired: the device is not approved, or (up to 2026.2.17, which give
	// no reason) asks for more than was approved.
	NotPaired RefusalKind = "not-paired"
	// RoleUpgrade, ScopeUpgrade, MetadataUpgrade: the device is paired, and a
	// request to change what was approved is pending.
	RoleUpgrade     RefusalKind = "role-upgrade"
	ScopeUpgrade    RefusalKind = "scope-upgrade"
	MetadataUpgrade RefusalKind = "metadata-upgrade"
	// TokenScope: the device token is right, the scopes asked are wider than
	// its own. No request is pending.
	TokenScope RefusalKind = "token-scope"
	// DeviceRequired: the gateway wants a device identity and got none.
	DeviceRequired RefusalKind = "device-required"
	// AuthToken: the gateway's token or password is missing or wrong. A device
	// token in auth.token that it does not know is answered so, too.
	AuthToken RefusalKind = "gateway-token"
	// AuthSetup: the gateway's authentication cannot be met by another token:
	// none configured, a proxy or user identity asked for, access denied.
	AuthSetup RefusalKind = "gateway-auth-setup"
	// DeviceToken: auth.deviceToken does not fit the device. 2026.2.17 says
	// so of a wrong gateway token, too.
	DeviceToken RefusalKind = "device-token"
	RateLimited RefusalKind = "rate-limited"
	Protocol    RefusalKind = "protocol"
	// DeviceAuth: device id, key, signature, clock or nonce.
	DeviceAuth RefusalKind = "device-auth"
	Origin     RefusalKind = "origin"
	// Starting: starting, restarting or busy; come again.
	Starting RefusalKind = "starting"
	// InternalClose: the gateway's handler died and the socket was closed
	// with 1000 or 1011. A pairing entry whose token has no scopes does that
	// on all releases, malformed pairing files from 2026.4.29 on, a database
	// locked for some seconds and a handshake the gateway was too busy to
	// answer on 2026.9.6.
	InternalClose RefusalKind = "internal-close"
	// Schema: the request has a form or a value this release does not know.
	Schema RefusalKind = "schema"
	// Bridge: a bridge of bootstrap's said no in its own name, and asked no gateway.
	Bridge RefusalKind = "bridge"
	// AuthChanged: the gateway's authentication was changed meanwhile (4001).
	AuthChanged RefusalKind = "auth-changed"
	Unknown     RefusalKind = "unknown"
)

func (r *Refusal) classify() RefusalKind {
	if kind := r.byDetailCode(); kind != "" {
		return kind
	}
	if r.Code == "UNAVAILABLE" {
		return Starting
	}
	if kind := r.byMessage(); kind != "" {
		return kind
	}
	if r.Code == "NOT_PAIRED" {
		return NotPaired
	}
	if r.Code == "FORBIDDEN" {
		return AuthSetup
	}
	return r.byCloseCode()
}

// byDetailCode reads error.details.code; complete from 2026.3.13 on.
func (r *Refusal) byDetailCode() RefusalKind {
	switch r.DetailCode {
	case "BRIDGE_REFUSED":
		if r.Code == "UNAVAILABLE" {
			return Starting
		}
		return Bridge
	case "PAIRING_REQUIRED":
		return r.pairing()
	case "PROTOCOL_MISMATCH", "CLIENT_VERSION_MISMATCH", "CONTROL_UI_BUILD_MISMATCH":
		return Protocol
	case "DEVICE_IDENTITY_REQUIRED", "CONTROL_UI_DEVICE_IDENTITY_REQUIRED":
		return DeviceRequired
	case "CONTROL_UI_ORIGIN_NOT_ALLOWED":
		return Origin
	case "AUTH_TOKEN_MISSING", "AUTH_TOKEN_MISMATCH", "AUTH_PASSWORD_MISSING", "AUTH_PASSWORD_MISMATCH":
		return AuthToken
	case "AUTH_DEVICE_TOKEN_MISMATCH":
		return DeviceToken
	case "AUTH_SCOPE_MISMATCH":
		return TokenScope
	case "AUTH_RATE_LIMITED":
		return RateLimited
	}
	switch {
	case strings.HasPrefix(r.DetailCode, "DEVICE_AUTH_"):
		return DeviceAuth
	case r.DetailCode == "AUTH_UNAUTHORIZED", r.DetailCode == "AUTH_REQUIRED":
		return "" // the message says more
	case strings.HasPrefix(r.DetailCode, "AUTH_"), strings.HasPrefix(r.DetailCode, "AUTHENTICATED_"):
		return AuthSetup
	}
	return ""
}

// pairing reads the reason, from 2026.2.24 on in details, else in the text.
func (r *Refusal) pairing() RefusalKind {
	said := r.Said()
	switch {
	case r.Reason == "role-upgrade", r.Reason == "" && strings.Contains(said, "higher role"):
		return RoleUpgrade
	case r.Reason == "scope-upgrade", r.Reason == "" && strings.Contains(said, "more scopes"):
		return ScopeUpgrade
	case r.Reason == "metadata-upgrade", r.Reason == "" && strings.Contains(said, "identity changed"):
		return MetadataUpgrade
	}
	return NotPaired
}

// byMessage reads the message or close reason, which is all that releases up
// to 2026.2.17 give. The order matters: the first that fits wins.
func (r *Refusal) byMessage() RefusalKind {
	said := r.Said()
	for _, m := range []struct {
		starts string
		kind   RefusalKind
	}{
		{"device identity required", DeviceRequired},
		{"control ui requires", DeviceRequired},
		{"device identity mismatch", DeviceAuth},
		{"device signature", DeviceAuth},
		{"device nonce", DeviceAuth},
		{"device public key", DeviceAuth},
		{"unauthorized: device token scope mismatch", TokenScope},
		{"unauthorized: device token", DeviceToken},
		{"unauthorized: too many", RateLimited},
		{"unauthorized: gateway token not configured", AuthSetup},
		{"unauthorized: gateway password not configured", AuthSetup},
		{"unauthorized: gateway token", AuthToken},
		{"unauthorized: gateway password", AuthToken},
		{"unauthorized", AuthSetup},
		{"gateway credential is a redaction", AuthSetup},
		{"protocol mismatch", Protocol},
		{"client version mismatch", Protocol},
		{"origin not allowed", Origin},
		{"invalid connect params", Schema},
		{"invalid role", Schema},
		{"invalid handshake", Schema},
		{"invalid-handshake", Schema},
		{"invalid request frame", Schema},
		{"preauth payload too large", Schema},
		{"gateway message handler loading", Starting},
		{"gateway starting", Starting},
	} {
		if strings.HasPrefix(said, m.starts) {
			return m.kind
		}
	}
	if strings.HasPrefix(said, "pairing required") {
		return r.pairing()
	}
	return ""
}

func (r *Refusal) byCloseCode() RefusalKind {
	switch r.CloseCode {
	case 1001, 1012, 1013:
		return Starting
	case 1000, 1005, 1011:
		if r.Code == "" {
			return InternalClose
		}
	case 1009:
		return Schema
	case 4001:
		return AuthChanged
	}
	return Unknown
}
