package protocol

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// Hello is the gateway's answer to a connect request it accepts.
type Hello struct {
	Protocol int
	// ServerVersion is "dev" on npm releases up to 2026.2.26.
	ServerVersion string
	Auth          HelloAuth
	// TickInterval is how often the gateway sends something; 0 where it does not say.
	TickInterval time.Duration
	// Snapshot is as received.
	Snapshot json.RawMessage
}

// HelloAuth is the role, scopes and token that the gateway granted. The zero value means that
// the gateway did not say: up to 2026.4.15 it says so only with a device token.
type HelloAuth struct {
	// Method is how: "device-token", "token", "password", "none" or
	// "trusted-proxy". 2026.9.6 says it, 2026.8.2 does not.
	Method string `json:"method"`
	Role   string `json:"role"`
	// Scopes are the device token's on older releases (up to 2026.5.28), the
	// session's on newer ones (2026.8.2). See [Hello.SessionScopes].
	Scopes []string `json:"scopes"`
	// DeviceToken is the token that the store now holds for this device. It
	// is a secret, and has the form of a token: see [identity.IsToken].
	DeviceToken string `json:"deviceToken"`
}

func parseHello(payload json.RawMessage) (*Hello, error) {
	var wire struct {
		Type     string `json:"type"`
		Protocol int    `json:"protocol"`
		Server   struct {
			Version string `json:"version"`
		} `json:"server"`
		Auth   HelloAuth `json:"auth"`
		Policy struct {
			TickIntervalMs int64 `json:"tickIntervalMs"`
		} `json:"policy"`
		Snapshot json.RawMessage `json:"snapshot"`
	}
	if err := json.Unmarshal(payload, &wire); err != nil || wire.Type != "hello-ok" {
		return nil, &TransportError{Kind: NotGateway, Err: errors.New("its answer to the connect request is no hello")}
	}
	auth := wire.Auth
	if token := auth.DeviceToken; token != "" && !identity.IsToken(token) {
		return nil, &TransportError{Kind: NotGateway, Err: errors.New("its hello gives a device token of a form that no gateway makes")}
	}
	auth.Method, auth.Role, auth.Scopes = Clean(auth.Method), Clean(auth.Role), cleanAll(auth.Scopes)
	return &Hello{
		Protocol:      wire.Protocol,
		ServerVersion: Clean(wire.Server.Version),
		Auth:          auth,
		TickInterval:  time.Duration(wire.Policy.TickIntervalMs) * time.Millisecond,
		Snapshot:      wire.Snapshot,
	}, nil
}

// AuthMode is the gateway's gateway.auth.mode, where the snapshot tells:
// always on 2026.2.26, only to operator.admin on 2026.5.28 and later.
func (h *Hello) AuthMode() string {
	var snapshot struct {
		AuthMode string `json:"authMode"`
	}
	if json.Unmarshal(h.Snapshot, &snapshot) != nil {
		return ""
	}
	return Clean(snapshot.AuthMode)
}

// SessionScopes are those of the requested scopes that this connection has. A
// session never has more than it asked for, whatever its token may do; it has
// less where an operator came without a device.
func (h *Hello) SessionScopes(requested []string) []string {
	granted := []string{}
	for _, scope := range requested {
		if covers(h.Auth.Scopes, scope) {
			granted = append(granted, scope)
		}
	}
	return granted
}

// covers applies the gateway's implications: admin is every operator scope,
// write is read. Literal membership is all that releases up to 2026.2.19 knew.
func covers(scopes []string, wanted string) bool {
	for _, scope := range scopes {
		switch {
		case scope == wanted,
			scope == "operator.admin" && strings.HasPrefix(wanted, "operator."),
			scope == "operator.write" && wanted == "operator.read":
			return true
		}
	}
	return false
}
