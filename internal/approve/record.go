package approve

import (
	"os"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// Action is what happened to a request.
type Action string

// The actions. Approving is written before the gateway is asked, so that no
// approval goes unrecorded; Refused and Undone may follow it.
const (
	// Approving: the policy admits the request.
	Approving Action = "approve"
	// Refused: the gateway said no to the approval.
	Refused Action = "approve-refused"
	// Undone: the gateway approved something else than was judged; where that
	// device was not paired before, it was removed again.
	Undone Action = "approve-undone"
	// LeftPending: the policy does not admit the request.
	LeftPending Action = "left-pending"
)

// Asked is who asks for what, fit to print and of bounded length: no secrets.
type Asked struct {
	RequestID  string   `json:"requestId"`
	DeviceID   string   `json:"deviceId"`
	PublicKey  string   `json:"publicKey"`
	Name       string   `json:"name,omitempty"`
	ClientID   string   `json:"clientId,omitempty"`
	ClientMode string   `json:"clientMode,omitempty"`
	Platform   string   `json:"platform,omitempty"`
	RemoteIP   string   `json:"remoteIp,omitempty"`
	Roles      []string `json:"roles"`
	Scopes     []string `json:"scopes"`
}

// Asked is the request as a person, or the audit file, may be shown it.
func (r Request) Asked() Asked {
	return Asked{
		RequestID: r.RequestID, DeviceID: protocol.Clean(r.DeviceID), PublicKey: protocol.Clean(r.PublicKey),
		Name: r.DisplayName, ClientID: r.ClientID, ClientMode: r.ClientMode,
		Platform: r.Platform, RemoteIP: r.RemoteIP,
		Roles: clipAll(r.Roles), Scopes: clipAll(r.Scopes),
	}
}

// Record is one decision, as the audit file keeps it.
type Record struct {
	Time   string `json:"time"`
	Action Action `json:"action"`
	Asked
	Upgrade bool `json:"upgrade,omitempty"`
	// Rule admitted the request; empty where none did.
	Rule string `json:"rule,omitempty"`
	// Reason is why it stays pending, or what went wrong.
	Reason string `json:"reason,omitempty"`
	UID    int    `json:"uid"`
}

func newRecord(action Action, request Request, v verdict, reason string) Record {
	return Record{
		Time: time.Now().UTC().Format(time.RFC3339Nano), Action: action, Asked: request.Asked(),
		Upgrade: v.upgrade, Rule: v.rule.String(), Reason: reason, UID: os.Geteuid(),
	}
}

// maxListed bounds what one line repeats of a peer's list.
const maxListed = 32

// list is roles or scopes of a peer on one line, fit to print.
func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(clipAll(words), ",")
}

func clipAll(words []string) []string {
	return protocol.CleanAll(words[:min(len(words), maxListed)])
}
