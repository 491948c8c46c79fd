package approve

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// RotatedToken is a device token that has just been made. The one before it is
// refused from then on, and from 2026.5.28 on its connections are cut.
type RotatedToken struct {
	// Token is a secret. From 2026.5.28 on (not on 2026.3.13) it is empty unless
	// the device itself has asked, by its device token: a device that others
	// rotate gets its new token when it connects with the gateway's own.
	Token  string
	Role   string
	Scopes []string
	At     time.Time
}

// RotateToken gives a device another token for a role (device.token.rotate),
// with the scopes of the one before it unless some are named. The caller needs
// operator.pairing, for another device than its own operator.admin, and every
// scope that the token is to have.
func RotateToken(ctx context.Context, client *protocol.Client, deviceID, role string, scopes ...string) (RotatedToken, error) {
	params := map[string]any{"deviceId": deviceID, "role": role}
	if len(scopes) > 0 {
		params["scopes"] = scopes
	}
	payload, err := client.Call(ctx, "device.token.rotate", params)
	if err != nil {
		return RotatedToken{}, err
	}
	return readRotation(payload, deviceID, role)
}

func readRotation(payload json.RawMessage, deviceID, role string) (RotatedToken, error) {
	var answer struct {
		DeviceID string          `json:"deviceId"`
		Role     string          `json:"role"`
		Token    string          `json:"token"`
		Scopes   []string        `json:"scopes"`
		At       json.RawMessage `json:"rotatedAtMs"`
	}
	if json.Unmarshal(payload, &answer) != nil || answer.DeviceID != deviceID || answer.Role != role {
		return RotatedToken{}, unreadable("device.token.rotate")
	}
	return RotatedToken{Token: answer.Token, Role: answer.Role, Scopes: answer.Scopes, At: moment(answer.At)}, nil
}

// unreadable keeps the answer itself out of the error: a token may be in it.
func unreadable(method string) error {
	return fmt.Errorf("cannot read the answer to %s: it does not name the device and the role", method)
}
