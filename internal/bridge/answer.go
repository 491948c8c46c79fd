package bridge

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// answer is what the gateway said to a connect request of ours.
type answer struct {
	ok bool
	// raw is the frame as it came.
	raw     []byte
	refusal gatewayRefusal
}

// gatewayRefusal is what the gateway said to a device of ours that showed its
// device token alone.
type gatewayRefusal struct{ protocol.Refusal }

// parseAnswer reads a frame; false where it is not the answer to the request.
func parseAnswer(data []byte, id string) (answer, bool) {
	frame, err := protocol.ParseFrame(data)
	if err != nil || frame.Type != protocol.TypeResponse || frame.ID != id {
		return answer{}, false
	}
	a := answer{ok: frame.OK, raw: data}
	if !a.ok {
		a.refusal = gatewayRefusal{*protocol.NewRefusal(frame.Error, nil)}
	}
	return a, true
}

// unpaired tells whether the gateway does not know the device with its token:
// "gateway token mismatch" is about the pairing, too (2026.2.26 to 2026.9.6).
func (r gatewayRefusal) unpaired() bool {
	switch r.Kind {
	case protocol.NotPaired, protocol.RoleUpgrade, protocol.ScopeUpgrade, protocol.MetadataUpgrade,
		protocol.AuthToken, protocol.DeviceToken:
		return true
	}
	return r.Code == "NOT_PAIRED"
}

// remedy is the next thing to type.
func (r gatewayRefusal) remedy(name string) string {
	switch {
	case r.RequestID != "":
		return "openclaw devices approve " + r.RequestID
	case r.unpaired():
		return "bootstrap seed --reseed " + name
	}
	return ""
}

// forClient is the hello without the token, with a protocol version that the
// client can read.
func (a answer) forClient(r request, c client) ([]byte, error) {
	var frame, payload, auth map[string]json.RawMessage
	if json.Unmarshal(a.raw, &frame) != nil || json.Unmarshal(frame["payload"], &payload) != nil || payload == nil {
		return nil, errors.New("the gateway's hello cannot be read")
	}
	if raw, given := payload["auth"]; given {
		if json.Unmarshal(raw, &auth) != nil || auth == nil {
			return nil, errors.New("the gateway's hello cannot be read")
		}
		// deviceTokens come with other roles (2026.8.1 and later).
		for _, secret := range []string{"deviceToken", "deviceTokens", "issuedAtMs"} {
			delete(auth, secret)
		}
		put(payload, "auth", auth)
	}
	var version int
	if json.Unmarshal(payload["protocol"], &version) == nil && (version < r.least || version > r.most) {
		put(payload, "protocol", min(max(version, r.least), r.most))
	}
	put(frame, "payload", payload)
	out := marshal(frame)
	if bytes.Contains(out, []byte(c.token)) {
		return nil, errors.New("the gateway's hello repeats the device token in a place that is not known")
	}
	return out, nil
}

// refusalFrame is the bridge's own no to a request, in the gateway's form.
func refusalFrame(id, code, reason string) []byte {
	return marshal(map[string]any{"type": protocol.TypeResponse, "id": id, "ok": false, "error": map[string]any{
		"code": code, "message": reason, "retryable": code == "UNAVAILABLE", "details": map[string]string{"code": "BRIDGE_REFUSED"},
	}})
}

// ownChallenge is one of ours, for a client whose signature nobody will ask for:
// the gateway is dialled once the client has shown its token.
func ownChallenge() []byte {
	nonce := make([]byte, 16)
	_, _ = rand.Read(nonce) // never fails
	return marshal(map[string]any{"type": protocol.TypeEvent, "event": "connect.challenge", "payload": map[string]any{
		"nonce": fmt.Sprintf("%x-%x-%x-%x-%x", nonce[:4], nonce[4:6], nonce[6:8], nonce[8:10], nonce[10:]), "ts": time.Now().UnixMilli(),
	}})
}
