package gatewaytest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gatewaytest"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/protocol"
)

const approveToken = "approve-test-token"

// approver is a real gateway and what the tests of one release share.
type approver struct {
	approve.Gateway
	// asksForUpgrades is where a device on loopback does not get more scopes
	// without being asked for; 2026.4.29, 2026.5.28 and 2026.7.35 are so.
	asksForUpgrades bool
	// hidesOthers is where a device token without operator.admin is shown its
	// own device only.
	hidesOthers bool
}

func TestApprovalOnRealGateways(t *testing.T) {
	t.Parallel()
	// 2026.3.13 is the one that leaves a caller without a device no scopes.
	for _, version := range []string{"2026.2.26", "2026.3.13", "2026.5.28", "2026.8.2", "2026.9.6"} {
		t.Run(version, func(t *testing.T) {
			t.Parallel()
			g := gatewaytest.Start(t, gatewaytest.Options{
				Version: version, StateDir: gatewaytest.CopyState(t, version), Token: approveToken,
			})
			g.WaitReady(t)
			a := approver{
				Gateway:         approve.Gateway{URL: g.URL, Token: approveToken},
				asksForUpgrades: version == "2026.5.28",
				hidesOthers:     version != "2026.2.26" && version != "2026.3.13",
			}
			t.Run("caller leaves no device behind", a.callerLeavesNoDevice)
			t.Run("new device is let in with exactly its scopes", a.newDevice)
			t.Run("paired device gets more scopes by its own request", a.widened)
			t.Run("stale wider request is not approved", a.staleRequest)
			t.Run("changed platform is approved", a.changedPlatform)
			t.Run("request is announced, listed, rejected, and gone", a.rejected)
			t.Run("device token without admin sees and approves little", a.littleRights)
			t.Run("rotated and revoked tokens are refused", a.rotatedAndRevoked)
			t.Run("removed device is no longer let in", a.removed)
			t.Run("wrong gateway token is tried once", a.wrongToken)
		})
	}
}

var (
	readOnly  = []string{"operator.read"}
	readWrite = []string{"operator.read", "operator.write"}
)

func newDevice(t *testing.T) identity.Identity {
	t.Helper()
	id, err := identity.New(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (a approver) pair(t *testing.T, id identity.Identity, scopes []string) approve.Result {
	t.Helper()
	result, err := approve.PairOverLoopback(t.Context(), approve.Options{Gateway: a.Gateway, Identity: id, Scopes: scopes})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

func (a approver) open(t *testing.T, events ...string) *approve.Caller {
	t.Helper()
	caller, err := approve.Open(t.Context(), a.Gateway, events...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(caller.Close)
	return caller
}

func (a approver) list(t *testing.T) ([]approve.Request, []approve.Paired) {
	t.Helper()
	pending, paired, err := approve.List(t.Context(), a.open(t).Client)
	if err != nil {
		t.Fatal(err)
	}
	return pending, paired
}

// listed is the device as the gateway lists it.
func (a approver) listed(t *testing.T, id identity.Identity) approve.Paired {
	t.Helper()
	_, paired := a.list(t)
	for _, device := range paired {
		if device.DeviceID == id.DeviceID() {
			return device
		}
	}
	t.Fatal("the device is not listed")
	return approve.Paired{}
}

// ask connects as the device with the gateway's token.
func (a approver) ask(t *testing.T, id identity.Identity, platform string, scopes []string) probe.Verdict {
	t.Helper()
	return probe.Run(t.Context(), probe.Options{
		URL: a.URL, Auth: probe.AuthShared, Identity: id, GatewayToken: approveToken, Scopes: scopes, Platform: platform,
	})
}

func (a approver) callerLeavesNoDevice(t *testing.T) {
	_, before := a.list(t)
	a.open(t).Close()
	if _, after := a.list(t); len(after) != len(before) {
		t.Errorf("there were %d devices, now there are %d", len(before), len(after))
	}
}

func (a approver) newDevice(t *testing.T) {
	id := newDevice(t)
	first := a.pair(t, id, readWrite)
	if first.How != approve.LetIn || !slices.Equal(first.Scopes, readWrite) || first.DeviceToken == "" {
		t.Errorf("let in as %s with %v", first.How, first.Scopes)
	}
	device := a.listed(t, id)
	if !slices.Equal(device.Scopes, readWrite) || !slices.Equal(device.Roles, []string{"operator"}) ||
		device.PublicKey != id.PublicKey() || len(device.Tokens) != 1 {
		t.Errorf("listed as %+v", device)
	}
	if again := a.pair(t, id, readWrite); again.DeviceToken != first.DeviceToken {
		t.Error("the second time replaced the device token")
	}
}

func (a approver) widened(t *testing.T) {
	id := newDevice(t)
	a.pair(t, id, readOnly)
	result := a.pair(t, id, readWrite)
	want := approve.LetIn
	if a.asksForUpgrades {
		want = approve.Approved
	}
	if result.How != want || !slices.Equal(result.Scopes, readWrite) {
		t.Errorf("came in as %s with %v", result.How, result.Scopes)
	}
}

func (a approver) staleRequest(t *testing.T) {
	id := newDevice(t)
	a.pair(t, id, readOnly)
	// Another platform is asked about on every release, also on loopback.
	if stale := a.ask(t, id, "darwin", []string{"operator.admin"}); stale.RequestID == "" {
		t.Fatalf("no request was left: %s", stale.Message)
	}
	result, err := approve.PairOverLoopback(t.Context(), approve.Options{
		Gateway: a.Gateway, Identity: id, Scopes: readWrite, Platform: "darwin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.How != approve.Approved {
		t.Errorf("came in as %s", result.How)
	}
	if got := a.listed(t, id).Scopes; !slices.Equal(got, readWrite) {
		t.Errorf("the device now has %v", got)
	}
}

func (a approver) changedPlatform(t *testing.T) {
	id := newDevice(t)
	a.pair(t, id, readOnly)
	result, err := approve.PairOverLoopback(t.Context(), approve.Options{
		Gateway: a.Gateway, Identity: id, Scopes: readOnly, Platform: "darwin",
	})
	if err != nil {
		t.Fatal(err)
	}
	if result.How != approve.Approved {
		t.Errorf("came in as %s", result.How)
	}
}

func (a approver) rejected(t *testing.T) {
	id := newDevice(t)
	a.pair(t, id, readOnly)
	caller := a.open(t, "device.pair.requested")
	asked := a.ask(t, id, "darwin", readOnly)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := caller.NextEvent(ctx); err != nil {
		t.Fatal(err)
	}
	pending, _ := a.list(t)
	i := slices.IndexFunc(pending, func(r approve.Request) bool { return r.RequestID == asked.RequestID })
	if i < 0 {
		t.Fatalf("the request %s is not listed", asked.RequestID)
	}
	if r := pending[i]; r.PublicKey != id.PublicKey() || !slices.Equal(r.Scopes, readOnly) || r.Platform != "darwin" || r.At.IsZero() {
		t.Errorf("listed as %+v", r)
	}
	if err := approve.Reject(ctx, caller.Client, asked.RequestID); err != nil {
		t.Fatal(err)
	}
	var refused *protocol.RPCError
	if _, err := approve.Approve(ctx, caller.Client, asked.RequestID); !errors.As(err, &refused) || refused.Message != "unknown requestId" {
		t.Errorf("approving it then says: %v", err)
	}
}

func (a approver) littleRights(t *testing.T) {
	id, other := newDevice(t), newDevice(t)
	scopes := []string{"operator.pairing", "operator.read"}
	token := a.pair(t, id, scopes).DeviceToken
	a.pair(t, other, readOnly)
	asked := a.ask(t, other, "darwin", readOnly)
	conn, err := protocol.Dial(t.Context(), protocol.DialOptions{URL: a.URL})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if _, err := protocol.Handshake(t.Context(), conn, protocol.ConnectRequest{
		Identity: id, ClientID: "cli", ClientMode: "cli", Platform: "linux", Version: "test",
		Role: "operator", Scopes: scopes, Token: token,
	}); err != nil {
		t.Fatal(err)
	}
	client := protocol.NewClient(conn)
	defer client.Close()
	_, paired, err := approve.List(t.Context(), client)
	if err != nil || (len(paired) == 1) != a.hidesOthers {
		t.Errorf("it sees %d devices, %v", len(paired), err)
	}
	if _, err := approve.Approve(t.Context(), client, asked.RequestID); (err != nil) != a.hidesOthers {
		t.Errorf("approving the other device says: %v", err)
	}
}

func (a approver) removed(t *testing.T) {
	id := newDevice(t)
	token := a.pair(t, id, readOnly).DeviceToken
	caller := a.open(t)
	if err := approve.Remove(t.Context(), caller.Client, id.DeviceID()); err != nil {
		t.Fatal(err)
	}
	verdict := probe.Run(t.Context(), probe.Options{
		URL: a.URL, Auth: probe.AuthDevice, Identity: id, DeviceToken: token, Scopes: readOnly,
	})
	if verdict.Outcome != probe.NotPaired {
		t.Errorf("outcome is %s: %s", verdict.Outcome, verdict.Message)
	}
	if err := approve.Remove(t.Context(), caller.Client, id.DeviceID()); err == nil {
		t.Error("it could be removed twice")
	}
}

func (a approver) wrongToken(t *testing.T) {
	wrong := a.Gateway
	wrong.Token = "not-the-token"
	_, err := approve.PairOverLoopback(t.Context(), approve.Options{
		Gateway: wrong, Identity: newDevice(t), Scopes: readOnly, Wait: time.Minute,
	})
	var failed *approve.Error
	if !errors.As(err, &failed) || failed.Verdict.Outcome != probe.GatewayAuth || failed.Verdict.Attempts != 1 {
		t.Errorf("error is %v", err)
	}
}
