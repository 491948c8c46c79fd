package gatewaytest_test

import (
	"encoding/json"
	"errors"
	"slices"
	"testing"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
)

func (a approver) rotatedAndRevoked(t *testing.T) {
	id, admin := newDevice(t), a.open(t).Client
	scopes := []string{"operator.pairing", "operator.read"}
	letsIn := func(token string) bool { return a.proves(t, id, token, scopes) }
	first := a.pair(t, id, scopes)

	if err := approve.RotateToken(t.Context(), admin, id.DeviceID()); err != nil {
		t.Fatal(err)
	}
	if letsIn(first.DeviceToken) {
		t.Error("after an administrator rotated it, the old token is let in")
	}
	_, current := a.connectAs(t, id, approveToken, scopes)
	if current == first.DeviceToken || !letsIn(current) {
		t.Error("the device that connects with the gateway's token does not get the new one")
	}
	own, _ := a.connectAs(t, id, current, scopes)
	payload, err := own.Call(t.Context(), "device.token.rotate", map[string]string{"deviceId": id.DeviceID(), "role": "operator"})
	var mine struct {
		Token  string
		Scopes []string
	}
	if err != nil || json.Unmarshal(payload, &mine) != nil || letsIn(current) || !letsIn(mine.Token) || !slices.Equal(mine.Scopes, scopes) {
		t.Errorf("rotated by the device itself, to scopes %v: %v", mine.Scopes, err)
	}

	_, err = admin.Call(t.Context(), "device.token.revoke", map[string]string{"deviceId": id.DeviceID(), "role": "operator"})
	if err != nil || letsIn(mine.Token) {
		t.Errorf("revoked: %v", err)
	}
	if tokens := a.listed(t, id).Tokens; len(tokens) != 1 || tokens[0].RevokedAt.IsZero() {
		t.Errorf("listed with %+v", tokens)
	}

	err = approve.RotateToken(t.Context(), admin, newDevice(t).DeviceID())
	if !errors.As(err, new(*protocol.RPCError)) {
		t.Errorf("a device that is not there: %v", err)
	}
}

func (a approver) proves(t *testing.T, id identity.Identity, deviceToken string, scopes []string) bool {
	t.Helper()
	verdict := probe.Run(t.Context(), probe.Options{URL: a.URL, Auth: probe.AuthDevice, Identity: id, DeviceToken: deviceToken, Scopes: scopes})
	if !verdict.OK && verdict.Outcome != probe.NotPaired {
		t.Errorf("neither let in nor unpaired: %s", verdict.Message)
	}
	return verdict.OK
}

// connectAs is the device itself, by the gateway's token or its own; it returns
// the device token that it is given, too.
func (a approver) connectAs(t *testing.T, id identity.Identity, token string, scopes []string) (*protocol.Client, string) {
	t.Helper()
	conn, err := protocol.Dial(t.Context(), protocol.DialOptions{URL: a.URL})
	if err != nil {
		t.Fatal(err)
	}
	hello, err := protocol.Handshake(t.Context(), conn, protocol.ConnectRequest{
		Identity: id, ClientID: "cli", ClientMode: "cli", Platform: "linux", Role: "operator", Version: "dev", Scopes: scopes, Token: token,
	})
	if err != nil {
		t.Fatal(err)
	}
	client := protocol.NewClient(conn)
	t.Cleanup(client.Close)
	return client, hello.Auth.DeviceToken
}
