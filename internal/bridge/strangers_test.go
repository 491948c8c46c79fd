package bridge

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const everybodysToken = "the-token-of-the-whole-bridge"

// ownDevice is the request of a client that signs for itself. The gateway of these
// tests does not check that.
const ownDevice = `{"type":"req","id":"own","method":"connect","params":{"maxProtocol":3,"device":{"id":"mine"},"auth":{"token":"the-gateways-token"}}}`

// fromAfar is a listener whose clients come from another machine's address.
type fromAfar struct {
	net.Listener
	address string
}

func (l fromAfar) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return afar{conn, l.address}, nil
}

type afar struct {
	net.Conn
	address string
}

func (c afar) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.ParseIP(c.address), Port: c.Conn.RemoteAddr().(*net.TCPAddr).Port}
}

// serveAfar serves a bridge to clients on this machine, and at another address to
// clients that come from elsewhere.
func serveAfar(t *testing.T, gatewayURL string, change func(*Options, *Bridge)) (local, remote *served) {
	t.Helper()
	local = serve(t, gatewayURL, func(o *Options, b *Bridge) {
		o.Token = everybodysToken
		if change != nil {
			change(o, b)
		}
	})
	remote = local.listenAfar(t, "192.0.2.7")
	return local, remote
}

// listenAfar is a further listener, whose clients have this address.
func (s *served) listenAfar(t *testing.T, address string) *served {
	t.Helper()
	l, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Listener = fromAfar{l.Listener, address}
	start(t, s.Bridge, l)
	return &served{Bridge: s.Bridge, address: l.Address(), dir: s.dir}
}

func shownToken() http.Header { return http.Header{"Authorization": {"Bearer " + everybodysToken}} }

// dials counts the connections that a gateway gets.
func countDials(t *testing.T, f *fakeGateway) *atomic.Int32 {
	t.Helper()
	var dials atomic.Int32
	inner := f.Config.Handler
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dials.Add(1)
		inner.ServeHTTP(w, r)
	})
	return &dials
}

func TestDeviceOfARemoteClientIsNotPassedOnAsALocalOne(t *testing.T) {
	gateway := newFake(t, welcome)
	local, remote := serveAfar(t, gateway.url(), nil)
	for _, path := range []string{"/", "/agent-1"} {
		makeBundle(t, local.dir, "agent-1", "operator.read")
		p := remote.dial(t, path, shownToken())
		p.send(ownDevice)
		if got := p.closed(); got.Code != 1008 || !strings.Contains(got.Reason, "device of its own") {
			t.Errorf("%s: closed with %d %q", path, got.Code, got.Reason)
		}
	}
	if got := gateway.got(); len(got) != 0 {
		t.Errorf("the gateway got %v", got)
	}
	// The same client on this machine is local in any case.
	p := local.dial(t, "/", shownToken())
	p.send(ownDevice)
	if got := p.answer(); got["ok"] != true {
		t.Errorf("on this machine: %v", got)
	}
	// And one that is signed for comes from anywhere.
	p = remote.dial(t, "/agent-1", shownToken())
	p.letIn()
}

func TestStrangersDoNotReachTheGateway(t *testing.T) {
	gateway := newFake(t, welcome)
	dials := countDials(t, gateway)
	local, remote := serveAfar(t, gateway.url(), nil)
	makeBundle(t, local.dir, "agent-1", "operator.read")
	for range 20 {
		if first := remote.dial(t, "/agent-1", nil).read(); first["event"] != "connect.challenge" {
			t.Fatalf("first came %v", first)
		}
		local.dial(t, "/agent-1", nil).read()
	}
	wrong := http.Header{"Authorization": {"Bearer a-wrong-token-of-some-length"}}
	p := remote.dial(t, "/agent-1", wrong)
	p.send(reflecttConnect)
	if got := p.closed(); got.Code != 1008 || !strings.Contains(got.Reason, "bridge token is missing or wrong") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if n := dials.Load(); n != 0 {
		t.Errorf("the gateway was dialled %d times", n)
	}
	p = remote.dial(t, "/agent-1", nil)
	p.send(strings.Replace(reflecttConnect, "gateway-token", everybodysToken, 1))
	if got := p.answer(); got["ok"] != true {
		t.Errorf("with the token: %v", got)
	}
}

func TestSilentClientsLeaveMostOfTheGatewaysBudgetAlone(t *testing.T) {
	// 2026.9.6 takes 32 connections from an address that are not let in yet.
	var open, most atomic.Int32
	gateway := newFake(t, welcome)
	inner := gateway.Config.Handler
	gateway.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n := open.Add(1); n > most.Load() {
			most.Store(n)
		}
		defer open.Add(-1)
		inner.ServeHTTP(w, r)
	})
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	var all sync.WaitGroup
	for range 70 {
		p := b.dial(t, "/agent-1", nil)
		all.Go(func() {
			_, _, _ = p.ws.Read(p.ctx) // the challenge, or the end
		})
	}
	deadline := time.Now().Add(time.Minute)
	for most.Load() < challengesPerPeer && time.Now().Before(deadline) {
		time.Sleep(time.Millisecond)
	}
	if status, body := ready(t, b, nil); status != 200 {
		t.Errorf("readyz is %d %s", status, body)
	}
	b.stop()
	all.Wait()
	if n := most.Load(); n > maxHandshakes+1 || n < challengesPerPeer {
		t.Errorf("%d connections to the gateway at once", n)
	}
}

// Nor do they hear which clients there are, or how those fare.
func TestStrangersHearTheSameOfEveryName(t *testing.T) {
	gateway := newFake(t, welcome)
	local, remote := serveAfar(t, gateway.url(), nil)
	makeBundle(t, local.dir, "there", "operator.read")
	makeBundle(t, local.dir, "removed", "operator.read")
	local.holds.byClient = map[string]hold{"removed": {until: time.Now().Add(time.Hour), token: deviceToken, reason: "client removed is not paired"}}
	ask := func(path, frame, want string) {
		t.Helper()
		p := remote.dial(t, path, nil)
		if first := p.read(); first["event"] != "connect.challenge" {
			t.Fatalf("%s: first came %v", path, first)
		}
		p.send(frame)
		if got := p.closed(); got.Code != 1008 || !strings.Contains(got.Reason, want) {
			t.Errorf("%s: closed with %d %q", path, got.Code, got.Reason)
		}
	}
	for _, path := range []string{"/there", "/nobody", "/removed"} {
		ask(path, reflecttConnect, "bridge token is missing or wrong")
	}
	withToken := strings.Replace(reflecttConnect, "gateway-token", everybodysToken, 1)
	ask("/nobody", withToken, "unknown client nobody")
	ask("/removed", withToken, "client removed is not paired")
	wrong := http.Header{"Authorization": {"Bearer a-wrong-token-of-some-length"}}
	if got := remote.dial(t, "/nobody", wrong).closed(); !strings.Contains(got.Reason, "bridge token is missing or wrong") {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if got := gateway.got(); len(got) != 0 {
		t.Errorf("the gateway got %v", got)
	}
}

func TestStrangersOfOneAddressLeaveRoomForOthers(t *testing.T) {
	local, remote := serveAfar(t, newFake(t, welcome).url(), nil)
	makeBundle(t, local.dir, "agent-1", "operator.read")
	for range strangersPerPeer {
		remote.dial(t, "/agent-1", nil).read()
	}
	_, response, err := websocket.Dial(t.Context(), "ws://"+remote.address+"/agent-1", nil)
	if err == nil || response == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("one more: %v %v", response, err)
	}
	if full := local.seen(Full); len(full) != 1 || !strings.Contains(full[0].Remote, "192.0.2.7") {
		t.Errorf("events: %+v", full)
	}
	other := local.listenAfar(t, "192.0.2.8")
	for _, free := range []*served{other, local} {
		p := free.dial(t, "/agent-1", nil)
		p.send(strings.Replace(reflecttConnect, "gateway-token", everybodysToken, 1))
		if got := p.answer(); got["ok"] != true {
			t.Errorf("another one: %v", got)
		}
	}
}

func TestClientsThatWereLetInAreNoStrangers(t *testing.T) {
	local, remote := serveAfar(t, newFake(t, welcome).url(), nil)
	makeBundle(t, local.dir, "agent-1", "operator.read")
	for range strangersPerPeer + 5 {
		p := remote.dial(t, "/agent-1", nil)
		p.send(strings.Replace(reflecttConnect, "gateway-token", everybodysToken, 1))
		if got := p.answer(); got["ok"] != true {
			t.Fatalf("not let in: %v", got)
		}
	}
}

func TestSilenceIsAnEvent(t *testing.T) {
	local, remote := serveAfar(t, newFake(t, welcome).url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.requestTimeout = 10 * time.Millisecond
		}
	})
	makeBundle(t, local.dir, "agent-1", "operator.read")
	if got := remote.dial(t, "/agent-1", nil).closed(); got.Code != 1008 || got.Reason != "no connect request came" {
		t.Errorf("closed with %d %q", got.Code, got.Reason)
	}
	if silent := local.seen(Silent); len(silent) != 1 || silent[0].Client != "agent-1" {
		t.Errorf("events: %+v", silent)
	}
}

func TestFailedPassThroughsStayBelowTheGatewaysOwnLimit(t *testing.T) {
	// A gateway locks an address out after ten failures in a minute, but not
	// loopback, which the bridge's is.
	var failures atomic.Int32
	refuse := refuseWith(`{"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch (x)","details":{"code":"AUTH_TOKEN_MISMATCH"}}`, 1008, "unauthorized")
	gateway := newFake(t, func(ctx context.Context, ws *websocket.Conn, connect map[string]any) {
		if connect["params"].(map[string]any)["device"].(map[string]any)["id"] == "mine" {
			failures.Add(1)
			refuse(ctx, ws, connect)
			return
		}
		welcome(ctx, ws, connect)
	})
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	var all sync.WaitGroup
	var told atomic.Int32
	for range 40 {
		p := b.dial(t, "/", nil)
		all.Go(func() {
			_ = p.ws.Write(p.ctx, websocket.MessageText, []byte(ownDevice))
			if got := p.closed(); strings.Contains(got.Reason, "has failed too often") {
				told.Add(1)
			}
		})
	}
	all.Wait()
	if n := failures.Load(); n < 5 || n >= 10 {
		t.Errorf("the gateway judged %d of 40", n)
	}
	if n := told.Load(); n <= 30 {
		t.Errorf("%d of 40 were held off", n)
	}
	// Clients of a bundle guess nothing.
	b.dial(t, "/agent-1", nil).letIn()
}

func TestARefusalThatIsNoGuessHoldsNobodyOff(t *testing.T) {
	gateway := newFake(t, refuseWith(`{"code":"NOT_PAIRED","message":"pairing required","details":{"code":"PAIRING_REQUIRED","requestId":"88df06b4-f975-42f8-9b88-f3b31bbe3d4e"}}`, 1008, "pairing required"))
	b := serve(t, gateway.url(), nil)
	for range 12 {
		p := b.dial(t, "/", nil)
		p.send(ownDevice)
		got := p.answer()
		if details, _ := got["error"].(map[string]any)["details"].(map[string]any); details["code"] != "PAIRING_REQUIRED" {
			t.Fatalf("answered with %v", got)
		}
		if closed := p.closed(); closed.Reason != "pairing required" {
			t.Errorf("closed with %d %q", closed.Code, closed.Reason)
		}
	}
}

// A real server's RemoteAddr has a port and, for IPv6, brackets and a zone.
func TestPeersAreToldApartByTheirNetwork(t *testing.T) {
	for address, want := range map[string]struct {
		peer  string
		local bool
	}{
		"127.0.0.1:5":                      {"loopback", true},
		"127.9.9.9:5":                      {"loopback", true},
		"[::1]:5":                          {"loopback", true},
		"[::ffff:127.0.0.1]:5":             {"loopback", true},
		"192.0.2.7:5":                      {"192.0.2.7", false},
		"[::ffff:192.0.2.7]:5":             {"192.0.2.7", false},
		"[2001:db8:1:2:3:4:5:6]:5":         {"2001:db8:1:2::/64", false},
		"[2001:db8:1:2::9]:5":              {"2001:db8:1:2::/64", false},
		"[fe80::1%eth0]:5":                 {"fe80::/64", false},
		"uid 1000, pid 77":                 {"uid 1000", true},
		"something else, that is no place": {"unknown", false},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = address
		if peer, local := peerOf(r, strings.HasPrefix(address, "uid ")); peer != want.peer || local != want.local {
			t.Errorf("%s: %q, %v", address, peer, local)
		}
	}
}

func TestAClientThatSpeaksIsNotKeptWaitingByThoseThatDoNot(t *testing.T) {
	b := serve(t, newFake(t, welcome).url(), func(_ *Options, b *Bridge) {
		if b != nil {
			b.requestTimeout = time.Hour
		}
	})
	makeBundle(t, b.dir, "agent-1", "operator.read")
	for range challengesPerPeer {
		b.dial(t, "/agent-1", nil).read() // the challenge, and nothing else
	}
	for range 3 {
		b.dial(t, "/agent-1", nil) // no turn
	}
	p := b.dial(t, "/agent-1", nil)
	p.letIn()
	// With a device of its own, too.
	p = b.dial(t, "/agent-1", nil)
	p.send(ownDevice)
	if got := p.answer(); got["ok"] != true {
		t.Errorf("not let in: %v", got)
	}
	if silent := b.seen(Silent); len(silent) != 0 {
		t.Errorf("the others were given up first: %v", silent)
	}
}

func TestAClientThatIsRefusedHasAnAnswerToItsRequest(t *testing.T) {
	gateway := newFake(t, welcome)
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	gateway.Close()
	for path, want := range map[string]struct {
		code   string
		status websocket.StatusCode
	}{
		"/agent-1": {"UNAVAILABLE", 1013},
		"/nobody":  {"INVALID_REQUEST", 1008},
		"/a/b":     {"INVALID_REQUEST", 1008},
	} {
		p := b.dial(t, path, nil)
		p.send(reflecttConnect)
		got := p.answer()
		if failed, _ := got["error"].(map[string]any); got["ok"] != false || got["id"] != "c1" || failed["code"] != want.code {
			t.Errorf("%s: answered with %v", path, got)
		}
		if closed := p.closed(); closed.Code != want.status {
			t.Errorf("%s: closed with %v", path, closed)
		}
	}
}

func TestAClientOfABridgeThatStopsHasAnAnswerToItsRequest(t *testing.T) {
	asked := make(chan struct{})
	b := serve(t, newFake(t, func(ctx context.Context, _ *websocket.Conn, _ map[string]any) {
		close(asked)
		<-ctx.Done()
	}).url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	<-asked
	ended := make(chan websocket.CloseError, 1)
	answered := make(chan map[string]any, 1)
	go func() {
		defer close(ended)
		defer close(answered)
		answered <- p.answer()
		ended <- p.closed()
	}()
	b.stop()
	if got := <-answered; got["ok"] != false || got["id"] != "c1" {
		t.Errorf("answered with %v", got)
	}
	if closed := <-ended; closed.Code != websocket.StatusGoingAway {
		t.Errorf("closed with %v", closed)
	}
}

// Whose message begins like the refusal of a signature is not asked again for that.
func TestOnlyARejectedSignatureIsTriedTheOlderWay(t *testing.T) {
	gateway := newFake(t, refuseWith(`{"code":"NOT_PAIRED","message":"device signature invalid: no, pairing required","details":{"code":"PAIRING_REQUIRED"}}`, 1008, "pairing required"))
	b := serve(t, gateway.url(), nil)
	makeBundle(t, b.dir, "agent-1", "operator.read")
	p := b.dial(t, "/agent-1", nil)
	p.send(reflecttConnect)
	_ = p.closed()
	if n := len(gateway.got()); n != 1 {
		t.Errorf("the gateway was asked %d times", n)
	}
}
