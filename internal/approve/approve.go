// Package approve owns the gateway's device.pair and device.token methods: it
// lists pairing requests and paired devices, approves, rejects and removes by
// exact id, rotates tokens, pairs a device of ours over loopback where
// its store cannot be written, or through a remote gateway, and answers requests by a
// policy.
//
// Start with policy.go, what may be approved, and watch.go, how requests are found.
//
// It approves a request that was named, or that a policy admits, after it has read
// what is asked for: it never picks the latest request, never judges by an event, and never
// touches the store. All that it remembers is what a policy must not forget (see
// [Memory]); whether a device that was removed may come back is decided before
// it is called.
package approve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// List asks who wants to be paired and who is (device.pair.list), in the
// gateway's order. The caller's connection needs operator.pairing. From
// 2026.5.28 on a connection by device token without operator.admin is shown
// its own device only.
//
// Requests without what a decision needs (a well-formed requestId, a device, a
// readable list of roles and scopes) are left out: nobody can answer for them. A paired
// device is not, but see [Paired.Unreadable].
func List(ctx context.Context, client *protocol.Client) (pending []Request, paired []Paired, err error) {
	payload, err := client.Call(ctx, "device.pair.list", nil)
	if err != nil {
		return nil, nil, err
	}
	return parseList(payload)
}

// Approve grants the request with this id, whatever it asks for: look at it
// first. It returns the device as the gateway has it now.
//
// Up to 2026.3.22 operator.pairing is enough to approve. Later gateways want
// every scope of the request from the caller, too, and from 2026.5.28 on
// operator.admin for another device than its own where the caller came with a
// device token. 2026.4.29's own "devices approve" asks for operator.pairing
// alone and so fails with "missing scope: operator.admin".
//
// A request that is unknown, answered or older than five minutes is refused
// with "unknown requestId".
func Approve(ctx context.Context, client *protocol.Client, requestID string) (Paired, error) {
	payload, err := callWithRequestID(ctx, client, "device.pair.approve", requestID)
	if err != nil {
		return Paired{}, err
	}
	var answer struct {
		RequestID string          `json:"requestId"`
		Device    json.RawMessage `json:"device"`
	}
	if err := json.Unmarshal(payload, &answer); err != nil {
		return Paired{}, fmt.Errorf("cannot read the answer to device.pair.approve: %w", err)
	}
	device, ok := parsePaired(answer.Device)
	if !ok || device.Unreadable || answer.RequestID != requestID {
		return Paired{}, fmt.Errorf("cannot read the answer to device.pair.approve: it does not name the request %s and its device", requestID)
	}
	return device, nil
}

// Reject refuses the request with this id. The device may ask again.
func Reject(ctx context.Context, client *protocol.Client, requestID string) error {
	_, err := callWithRequestID(ctx, client, "device.pair.reject", requestID)
	return err
}

// Remove unpairs a device; its connections are cut and its tokens end. Removing
// one that is not paired is an error ("unknown deviceId").
func Remove(ctx context.Context, client *protocol.Client, deviceID string) error {
	_, err := client.Call(ctx, "device.pair.remove", map[string]string{"deviceId": deviceID})
	return err
}

// RotateToken ends a device's operator token and has the gateway make another with the
// same scopes (device.token.rotate). The one before is refused from then on, and from
// 2026.5.28 on its connections are cut. From then on, too (not on 2026.3.13), the new
// one is shown to the device alone: one that others rotate gets it when it connects with
// the gateway's own token. The caller needs operator.pairing, for another device than its
// own operator.admin, and every scope that the token is to have.
func RotateToken(ctx context.Context, client *protocol.Client, deviceID string) error {
	payload, err := client.Call(ctx, "device.token.rotate", map[string]string{"deviceId": deviceID, "role": "operator"})
	if err != nil {
		return err
	}
	var answer struct {
		DeviceID string `json:"deviceId"`
		Role     string `json:"role"`
	}
	if json.Unmarshal(payload, &answer) != nil || answer.DeviceID != deviceID || answer.Role != "operator" {
		// Without the answer itself: a token may be in it.
		return errors.New("cannot read the answer to device.token.rotate: it does not name the device and the role")
	}
	return nil
}

func callWithRequestID(ctx context.Context, client *protocol.Client, method, requestID string) (json.RawMessage, error) {
	if !protocol.IsRequestID(requestID) {
		return nil, fmt.Errorf("cannot ask for %s: %q is no requestId", method, protocol.Clean(requestID))
	}
	return client.Call(ctx, method, map[string]string{"requestId": requestID})
}
