package approve

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// Request is a device that waits to be paired, or to get more than it has.
type Request struct {
	RequestID string
	Device
	// Roles and Scopes are asked for. Where an older request of the same device
	// was pending, gateways up to 2026.3.13 keep that one as it was, and later
	// ones join both into a new one.
	Roles  []string
	Scopes []string
	// Repair says that the device is paired with another key.
	Repair bool
	At     time.Time
}

// Paired is a device that may connect.
type Paired struct {
	Device
	Roles []string
	// Scopes are those approved.
	Scopes []string
	Tokens []Token
	// Unreadable: a field that a decision needs is of another type, so that the device
	// may have more than is said here.
	Unreadable bool
}

// mayBeOperator counts also a device that cannot be read.
func (p Paired) mayBeOperator() bool { return p.Unreadable || slices.Contains(p.Roles, "operator") }

// Device is who it is. DeviceID and PublicKey (base64url of the raw key) are as
// received, fit to be compared; the other texts are made fit to be printed.
type Device struct {
	DeviceID    string
	PublicKey   string
	DisplayName string
	ClientID    string
	ClientMode  string
	Platform    string
	// RemoteIP is empty for a device on loopback.
	RemoteIP string
}

// Token is a device token; gateways list it without its secret.
type Token struct {
	Role string
	// RevokedAt is zero while the token is good.
	RevokedAt time.Time
}

// entry is the common wire form of 2026.2.26 to 2026.9.6. The fields that are
// for people are kept apart: one of an unexpected type must not hide a device.
type entry struct {
	RequestID string   `json:"requestId"`
	DeviceID  string   `json:"deviceId"`
	PublicKey string   `json:"publicKey"`
	Role      string   `json:"role"`
	Roles     []string `json:"roles"`
	Scopes    []string `json:"scopes"`
}

func parseList(payload json.RawMessage) ([]Request, []Paired, error) {
	var list struct {
		Pending []json.RawMessage `json:"pending"`
		Paired  []json.RawMessage `json:"paired"`
	}
	if err := json.Unmarshal(payload, &list); err != nil {
		return nil, nil, fmt.Errorf("cannot read the answer to device.pair.list: %w", err)
	}
	var pending []Request
	for _, raw := range list.Pending {
		if request, ok := parseRequest(raw); ok {
			pending = append(pending, request)
		}
	}
	var paired []Paired
	for _, raw := range list.Paired {
		if device, ok := parsePaired(raw); ok {
			paired = append(paired, device)
		}
	}
	return pending, paired, nil
}

func parseRequest(raw json.RawMessage) (Request, bool) {
	e, fields, ok := parseEntry(raw)
	if !ok || !protocol.IsRequestID(e.RequestID) {
		return Request{}, false
	}
	return Request{
		RequestID: e.RequestID,
		Device:    device(e, fields),
		Roles:     e.roles(),
		Scopes:    e.Scopes,
		Repair:    protocol.Flag(fields["isRepair"]),
		At:        moment(fields["ts"]),
	}, true
}

func parsePaired(raw json.RawMessage) (Paired, bool) {
	e, fields, ok := parseEntry(raw)
	tokens, readable := tokens(fields["tokens"])
	return Paired{
		Device:     device(e, fields),
		Roles:      e.roles(),
		Scopes:     e.Scopes,
		Tokens:     tokens,
		Unreadable: !ok || !readable,
	}, e.DeviceID != ""
}

// parseEntry reads what it can; ok is false where that is not all.
func parseEntry(raw json.RawMessage) (e entry, fields map[string]json.RawMessage, ok bool) {
	err := errors.Join(json.Unmarshal(raw, &e), json.Unmarshal(raw, &fields))
	return e, fields, err == nil && e.DeviceID != ""
}

// roles joins both fields: gateways write either or both.
func (e entry) roles() []string {
	out := slices.Clone(e.Roles)
	if e.Role != "" && !slices.Contains(out, e.Role) {
		out = append(out, e.Role)
	}
	return out
}

func device(e entry, fields map[string]json.RawMessage) Device {
	return Device{
		DeviceID:    e.DeviceID,
		PublicKey:   e.PublicKey,
		DisplayName: protocol.Text(fields["displayName"]),
		ClientID:    protocol.Text(fields["clientId"]),
		ClientMode:  protocol.Text(fields["clientMode"]),
		Platform:    protocol.Text(fields["platform"]),
		RemoteIP:    protocol.Text(fields["remoteIp"]),
	}
}

// tokens reads the list form, in which gateways leave out the secrets; ok is false where
// there is another, or a time that is none: the token may be revoked.
func tokens(raw json.RawMessage) (out []Token, ok bool) {
	var list []struct {
		Role      string          `json:"role"`
		RevokedAt json.RawMessage `json:"revokedAtMs"`
	}
	if raw != nil && json.Unmarshal(raw, &list) != nil {
		return nil, false
	}
	ok = true
	for _, t := range list {
		token := Token{Role: t.Role, RevokedAt: moment(t.RevokedAt)}
		out = append(out, token)
		ok = ok && (!token.RevokedAt.IsZero() || slices.Contains([]string{"", "null", "0"}, string(t.RevokedAt)))
	}
	return out, ok
}

// moment reads milliseconds; anything else, and what no calendar holds, is the
// zero time.
func moment(raw json.RawMessage) time.Time {
	const most = 253402300799999 // the end of the year 9999
	var ms float64
	if json.Unmarshal(raw, &ms) != nil || ms <= 0 || ms > most {
		return time.Time{}
	}
	return time.UnixMilli(int64(ms))
}
