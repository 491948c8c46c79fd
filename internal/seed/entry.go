package seed

import (
	"crypto/rand"
	"encoding/base64"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

// roleOperator is the only role that is seeded: nodes are for a person, or for
// the gateway's own rules, to approve.
const roleOperator = "operator"

// entry is one paired device, by the member names of devices/paired.json. The
// database's columns are read into the same names.
type entry struct{ object }

func (e entry) text(key string) string {
	text, _ := decode[string](e.get(key))
	return text
}

// approvedAtMs is 0 where it is no time.
func (e entry) approvedAtMs() int64 {
	ms, _ := decode[int64](e.get("approvedAtMs"))
	return ms
}

// scopes are those that a device token check counts: approvedScopes from
// 2026.2.24 on, else scopes.
func (e entry) scopes() []string {
	if approved, ok := decode[[]string](e.get("approvedScopes")); ok {
		return approved
	}
	scopes, _ := decode[[]string](e.get("scopes"))
	return scopes
}

// operatorToken is the member tokens.operator, empty where it is none.
func (e entry) operatorToken() object {
	return objectOrEmpty(objectOrEmpty(e.get("tokens")).get(roleOperator))
}

// token is the device token itself: a secret; empty where what is there is none.
func (e entry) token() string { return tokenIn(e.operatorToken()) }

// tokenIn is the member "token", of a store's entry or of a file, where it has a
// token's form: it ends up in a bundle's env, which a shell reads.
func tokenIn(operator object) string {
	token, _ := decode[string](operator.get("token"))
	if !identity.IsToken(token) {
		return ""
	}
	return token
}

// tokenScopes are the scopes of that token.
func (e entry) tokenScopes() []string {
	scopes, _ := decode[[]string](e.operatorToken().get("scopes"))
	return scopes
}

// tokenRevoked tells whether somebody took the operator's token back, as
// "openclaw devices revoke" does.
func (e entry) tokenRevoked() bool {
	at, ok := decode[float64](e.operatorToken().get("revokedAtMs"))
	return ok && at != 0
}

// merge brings the entry to what the device needs and names what it changed;
// nothing where the entry has it all. It only ever adds: scopes that are there
// stay, and so does everything it does not know.
//
// The fields are those that every release from 2026.1.29 to 2026.9.6 accepts.
// platform and deviceFamily stay absent: they would pin (from 2026.2.26).
func (e *entry) merge(device Device, now time.Time) (changes []string) {
	set := func(key string, value any) {
		e.set(key, value)
		changes = append(changes, key)
	}
	fresh := len(e.members) == 0
	if id := device.ID(); e.text("deviceId") != id {
		set("deviceId", id)
	}
	if key := device.publicKey(); e.text("publicKey") != key {
		set("publicKey", key)
	}
	if fresh {
		set("displayName", "bootstrap: "+device.Name)
		set("clientId", "cli")
		set("clientMode", "cli")
	}
	if e.text("role") == "" {
		set("role", roleOperator)
	}
	if roles, ok := decode[[]string](e.get("roles")); !ok || !slices.Contains(roles, roleOperator) {
		set("roles", append(roles, roleOperator))
	}
	for _, key := range []string{"scopes", "approvedScopes"} {
		if have, ok := decode[[]string](e.get(key)); !ok || len(missing(have, device.Scopes)) > 0 {
			set(key, union(have, device.Scopes))
		}
	}
	if token, changed := mergeToken(e.operatorToken(), device, now); changed {
		tokens := objectOrEmpty(e.get("tokens"))
		tokens.set(roleOperator, token)
		set("tokens", tokens)
	}
	for _, key := range []string{"createdAtMs", "approvedAtMs"} {
		if _, ok := decode[int64](e.get(key)); !ok {
			set(key, now.UnixMilli())
		}
	}
	return changes
}

// lacks names what [entry.merge] would change.
func (e entry) lacks(device Device) []string {
	copied := entry{object{members: slices.Clone(e.members)}}
	return copied.merge(device, time.Time{})
}

// forget drops what was granted, so that a merge grants it anew.
func (e *entry) forget() {
	for _, key := range []string{"scopes", "approvedScopes", "tokens"} {
		e.drop(key)
	}
}

// setToken gives the entry another operator token with the same scopes.
func (e *entry) setToken(text string, now time.Time) {
	token := e.operatorToken()
	token.set("token", text)
	token.set("rotatedAtMs", now.UnixMilli())
	tokens := objectOrEmpty(e.get("tokens"))
	tokens.set(roleOperator, token)
	e.set("tokens", tokens)
}

// mergeToken makes sure of token, role and scopes: without a token (and what no
// gateway makes is none) the device
// is asked for a role upgrade from 2026.4.5 on; a token without scopes crashes
// the handler of every release (close 1000, no answer).
func mergeToken(token object, device Device, now time.Time) (_ object, changed bool) {
	scopes := device.Scopes
	set := func(key string, value any) {
		token.set(key, value)
		changed = true
	}
	if tokenIn(token) == "" {
		if device.token == "" {
			device.token = newToken()
		}
		set("token", device.token)
	}
	if role, _ := decode[string](token.get("role")); role != roleOperator {
		set("role", roleOperator)
	}
	if have, ok := decode[[]string](token.get("scopes")); !ok || len(missing(have, scopes)) > 0 {
		set("scopes", union(have, scopes))
	}
	if _, ok := decode[float64](token.get("createdAtMs")); !ok {
		set("createdAtMs", now.UnixMilli())
	}
	return token, changed
}

// newToken is 32 random bytes in base64url. The random source never fails: the
// runtime ends the process instead.
func newToken() string {
	var token [32]byte
	_, _ = rand.Read(token[:])
	return base64.RawURLEncoding.EncodeToString(token[:])
}
