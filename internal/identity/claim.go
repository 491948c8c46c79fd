package identity

import (
	"strconv"
	"strings"
	"time"
)

// Claim is what a device signs when it connects. Every field must be equal to
// what the connect request says, in the same order.
type Claim struct {
	ClientID   string
	ClientMode string
	Role       string
	Scopes     []string
	SignedAt   time.Time
	// Token is the token sent along: auth.token, else auth.deviceToken, else
	// auth.bootstrapToken, else empty.
	Token string
	// Nonce is the challenge's.
	Nonce        string
	Platform     string
	DeviceFamily string
}

// V2 is the payload that every release from 2026.1.29 on accepts.
func (c Claim) V2(deviceID string) string {
	return strings.Join([]string{
		"v2", deviceID, c.ClientID, c.ClientMode, c.Role, strings.Join(c.Scopes, ","),
		strconv.FormatInt(c.SignedAt.UnixMilli(), 10), c.Token, c.Nonce,
	}, "|")
}

// V3 also binds platform and device family. Accepted from 2026.2.26 on; older
// gateways answer "device signature invalid".
func (c Claim) V3(deviceID string) string {
	return "v3" + strings.TrimPrefix(c.V2(deviceID), "v2") +
		"|" + normalise(c.Platform) + "|" + normalise(c.DeviceFamily)
}

// normalise trims and lower-cases ASCII only, as the gateway does.
func normalise(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, strings.TrimSpace(s))
}
