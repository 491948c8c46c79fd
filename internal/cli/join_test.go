package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
)

const (
	sharedToken  = "the-gateway-token"
	mismatch     = `{"code":"INVALID_REQUEST","message":"unauthorized: gateway token mismatch","details":{"code":"AUTH_TOKEN_MISMATCH"}}`
	askedID      = "88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
	waitForHuman = `{"code":"NOT_PAIRED","message":"pairing required","details":{"code":"PAIRING_REQUIRED","reason":"not-paired","requestId":"` + askedID + `"}}`
)

// doorman is a gateway elsewhere, as far as a join sees it: whether a client that
// shows the gateway's token is let in is for refuse to say, and whoever shows its
// device token is. Real gateways are asked in gatewaytest.
type doorman struct {
	url string
	// refuse answers the connect of a client, the first of which is 1: an error, or
	// nothing. "hang up" ends the connection without an answer.
	refuse func(client string, connect int) string

	mu       sync.Mutex
	connects map[string]int // by client, with the gateway's token
}

func openDoor(t *testing.T, refuse func(client string, connect int) string) *doorman {
	d := &doorman{refuse: refuse, connects: map[string]int{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ws, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		d.serve(r.Context(), ws)
		_ = ws.CloseNow()
	}))
	t.Cleanup(server.Close)
	d.url = "ws" + strings.TrimPrefix(server.URL, "http")
	return d
}

func (d *doorman) serve(ctx context.Context, ws *websocket.Conn) {
	say := func(frame string) { _ = ws.Write(ctx, websocket.MessageText, []byte(frame)) }
	say(`{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795362805122}}`)
	_, data, err := ws.Read(ctx)
	var asked struct {
		ID     string
		Params struct {
			Client struct{ ID, DisplayName string }
			Scopes json.RawMessage
			Auth   struct{ Token string }
		}
	}
	if err != nil || json.Unmarshal(data, &asked) != nil {
		return
	}
	client := strings.TrimPrefix(asked.Params.Client.DisplayName, "bootstrap: ")
	refusal := ""
	switch {
	case asked.Params.Client.ID == "gateway-client":
		refusal = mismatch // nobody here may approve
	case asked.Params.Auth.Token == sharedToken:
		d.mu.Lock()
		d.connects[client]++
		connect := d.connects[client]
		d.mu.Unlock()
		refusal = d.refuse(client, connect)
	}
	switch refusal {
	case "hang up":
		return
	case "":
		say(`{"type":"res","id":"` + asked.ID + `","ok":true,"payload":{"type":"hello-ok","protocol":4,"server":{"version":"2026.9.6"},` +
			`"auth":{"role":"operator","scopes":` + string(asked.Params.Scopes) + `,"deviceToken":"device-token-of-` + client + `"}}}`)
	default:
		say(`{"type":"res","id":"` + asked.ID + `","ok":false,"error":` + refusal + `}`)
	}
	_ = ws.Close(websocket.StatusPolicyViolation, "")
}

func (d *doorman) asked(client string) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.connects[client]
}

// joinFrom is a machine without a gateway's folder, where joins are typed.
type joinFrom struct {
	bundles string
	environ []string
}

func newJoinFrom(t *testing.T, variables ...string) joinFrom {
	home := t.TempDir()
	return joinFrom{bundles: filepath.Join(home, "bundles"), environ: append([]string{
		"HOME=" + home, "OPENCLAW_STATE_DIR=" + filepath.Join(home, "state"), "OPENCLAW_GATEWAY_TOKEN=" + sharedToken,
		"BOOTSTRAP_BUNDLE_DIR=" + filepath.Join(home, "bundles"),
	}, variables...)}
}

func (j joinFrom) types(t *testing.T, words ...string) (out joined, said string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	code := Main(append([]string{"bootstrap"}, words...), j.environ, &stdout, &stderr)
	if words[0] == "join" {
		if err := json.Unmarshal(stdout.Bytes(), &out); err != nil {
			t.Errorf("%v\n%s%s", err, stdout.String(), stderr.String())
		}
	}
	if out.ExitCode != Code(code) && words[0] == "join" {
		t.Errorf("it ended with %d and said %d", code, out.ExitCode)
	}
	out.ExitCode = Code(code)
	return out, stdout.String() + stderr.String()
}

func letAllIn(string, int) string { return "" }

func TestJoinAsksWhereItWasToldAndSaysSoInTheBundle(t *testing.T) {
	d := openDoor(t, letAllIn)
	from := newJoinFrom(t, "BOOTSTRAP_CLIENT_URL=ws://127.0.0.1:1") // nobody is there
	for _, way := range []string{"let-in", "already"} {
		out, said := from.types(t, "join", "--json", "--name", "agent", "--gateway-url", d.url)
		if !out.OK || out.Way != way || out.URL != d.url {
			t.Errorf("got %+v\n%s", out, said)
		}
		env, err := os.ReadFile(filepath.Join(from.bundles, "agent", "env"))
		if err != nil || !strings.Contains(string(env), "OPENCLAW_GATEWAY_URL="+d.url+"\n") {
			t.Errorf("the bundle says, %v:\n%s", err, env)
		}
	}
}

func TestAJoinThatIsRefusedItsTokenEndsWithTheCodeOfTheRefusal(t *testing.T) {
	for name, c := range map[string]struct {
		refusal string
		code    Code
	}{
		"the address is limited":   {`{"code":"INVALID_REQUEST","message":"unauthorized: too many failed authentication attempts","details":{"code":"AUTH_RATE_LIMITED"}}`, RateLimited},
		"the token was replaced":   {mismatch, AuthRefused},
		"somebody has removed it":  {waitForHuman, NotPaired},
		"the connection is broken": {"hang up", Unreachable},
	} {
		t.Run(name, func(t *testing.T) {
			d := openDoor(t, func(_ string, connect int) string {
				if connect == 1 {
					return "" // let in, and then it comes for its token
				}
				return c.refusal
			})
			out, said := newJoinFrom(t).types(t, "join", "--json", "--name", "agent", "--gateway-url", d.url)
			if out.ExitCode != c.code || d.asked("agent") != 2 || strings.Contains(said, "loopback:") || len(out.Hints) == 0 {
				t.Errorf("%d instead of %d, after %d connects\n%s", out.ExitCode, c.code, d.asked("agent"), said)
			}
		})
	}
}

func TestAJoinThatWaitsForAPersonHoldsUpNobodyButItself(t *testing.T) {
	approved := make(chan struct{})
	d := openDoor(t, func(client string, _ int) string {
		select {
		case <-approved:
			return ""
		default:
		}
		if client == "slow" {
			return waitForHuman
		}
		return ""
	})
	from := newJoinFrom(t)
	join := func(name string, more ...string) joined {
		out, said := from.types(t, append([]string{"join", "--json", "--gateway-url", d.url, "--name", name}, more...)...)
		if out.ExitCode == Unexpected {
			t.Error(said)
		}
		return out
	}
	first := make(chan joined)
	go func() { first <- join("slow", "--wait", "60s") }()
	for end := time.Now().Add(patience); d.asked("slow") == 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not ask")
		}
	}
	if other := join("other", "--lock-timeout", "0s"); !other.OK {
		t.Errorf("another client: %+v", other)
	}
	if same := join("slow", "--lock-timeout", "50ms"); same.ExitCode != Locked {
		t.Errorf("the same client: %+v", same)
	}
	// A gateway that starts meanwhile, and seeds this bundle, has to start.
	if seeded, said := from.types(t, "seed", "--client", "slow", "--lock-timeout", "0s", "--state-dir", t.TempDir()); seeded.ExitCode != OK {
		t.Errorf("seeding ended with %d\n%s", seeded.ExitCode, said)
	}
	close(approved)
	if out := <-first; !out.OK || out.Way != "approved" {
		t.Errorf("the first: %+v", out)
	}
	if again := join("slow"); again.Way != "already" {
		t.Errorf("once more: %+v", again)
	}
}
