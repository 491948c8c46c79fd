package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// answer is what the gateway said to a connect request of ours.
type answer struct {
	ok bool
	// raw is the frame as it came.
	raw     []byte
	refusal gatewayRefusal
}

// gatewayRefusal is the part of an error that decides what to do about it.
type gatewayRefusal struct {
	code, message, detailCode, reason, requestID string
	retryAfterMs                                 int64
}

// parseAnswer reads a frame; false where it is not the answer to the request.
func parseAnswer(data []byte, id string) (answer, bool) {
	frame, err := protocol.ParseFrame(data)
	if err != nil || frame.Type != protocol.TypeResponse || frame.ID != id {
		return answer{}, false
	}
	a := answer{ok: frame.OK, raw: data}
	var wire struct {
		Code         string  `json:"code"`
		Message      string  `json:"message"`
		RetryAfterMs float64 `json:"retryAfterMs"`
		Details      struct {
			Code      string `json:"code"`
			Reason    string `json:"reason"`
			RequestID string `json:"requestId"`
		} `json:"details"`
	}
	if !a.ok && json.Unmarshal(frame.Error, &wire) == nil {
		a.refusal = gatewayRefusal{
			code: wire.Code, message: protocol.Clean(wire.Message), detailCode: wire.Details.Code,
			reason: wire.Details.Reason, retryAfterMs: int64(wire.RetryAfterMs),
		}
		if protocol.IsRequestID(wire.Details.RequestID) {
			a.refusal.requestID = wire.Details.RequestID
		}
	}
	return a, true
}

// oldSignature tells whether the gateway knows the older signature only.
func (r gatewayRefusal) oldSignature() bool {
	return (&protocol.Refusal{DetailCode: r.detailCode, Reason: r.reason, Message: r.message}).SignatureRejected()
}

// unpaired tells whether the gateway does not know the device with its token.
// The bridge shows a device token alone, so that "gateway token mismatch" is
// about the pairing, too (2026.2.26 to 2026.9.6).
func (r gatewayRefusal) unpaired() bool {
	switch r.detailCode {
	case "PAIRING_REQUIRED", "AUTH_TOKEN_MISMATCH", "AUTH_DEVICE_TOKEN_MISMATCH",
		"AUTH_PASSWORD_MISSING", "AUTH_PASSWORD_MISMATCH", "AUTH_TOKEN_MISSING":
		return true
	}
	return r.code == "NOT_PAIRED" || strings.HasPrefix(r.message, "unauthorized: device token mismatch") ||
		strings.HasPrefix(r.message, "unauthorized: gateway token mismatch")
}

func (r gatewayRefusal) rateLimited() bool {
	return r.detailCode == "AUTH_RATE_LIMITED" || strings.HasPrefix(r.message, "unauthorized: too many")
}

func (r gatewayRefusal) starting() bool { return r.code == "UNAVAILABLE" }

// remedy is the next thing to type.
func (r gatewayRefusal) remedy(name string) string {
	switch {
	case r.requestID != "":
		return "openclaw devices approve " + r.requestID
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
	out, err := marshal(frame)
	if err == nil && bytes.Contains(out, []byte(c.token)) {
		err = errors.New("the gateway's hello repeats the device token in a place that is not known")
	}
	return out, err
}

// refusalFrame is the bridge's own no to a request, in the gateway's form.
func refusalFrame(id, reason string) []byte {
	data, err := marshal(map[string]any{"type": protocol.TypeResponse, "id": id, "ok": false, "error": map[string]any{
		"code": "INVALID_REQUEST", "message": "bridge: " + reason, "details": map[string]string{"code": "BRIDGE_REFUSED"},
	}})
	if err != nil {
		panic("a frame of ours always marshals: " + err.Error())
	}
	return data
}
