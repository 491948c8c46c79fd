package cli

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
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
	token  string // what clients get as device token, as JSON text; one of their own where empty

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
			`"auth":{"role":"operator","scopes":` + string(asked.Params.Scopes) + `,"deviceToken":"` + cmp.Or(d.token, "device-token-of-"+client) + `"}}}`)
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

// joinFrom is a machine without a gateway's directory, where joins are typed.
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

// The token is the gateway's to choose, or that of whoever answers in its place;
// the bundle is read by a shell, as root in a host join.
func TestADeviceTokenThatIsShellCodeIsNotTaken(t *testing.T) {
	for _, token := range []string{`$(id>PWNED)`, `a\nid>PWNED`, `'`} {
		d := openDoor(t, letAllIn)
		d.token = token
		from := newJoinFrom(t)
		out, said := from.types(t, "join", "--json", "--name", "agent", "--gateway-url", d.url)
		if out.OK || out.ExitCode != Unreachable {
			t.Errorf("%s: exit %d\n%s", token, out.ExitCode, said)
		}
		if env, err := os.ReadFile(filepath.Join(from.bundles, "agent", "env")); err == nil {
			t.Errorf("%s: this was written:\n%s", token, env)
		}
		if strings.Contains(said, "PWNED") {
			t.Errorf("the token is in what was said:\n%s", said)
		}
	}
}

// A client that cannot sign gets variables that lead to the bridge: without the
// device's token, with everything else that was in the file, and once only. Where the
// bridge asks for no token there is a placeholder: without any, reflectt-node says
// that no gateway is configured.
func TestJoinForABridgeLeavesNoDeviceTokenInTheVariables(t *testing.T) {
	d := openDoor(t, letAllIn)
	from := newJoinFrom(t)
	env := filepath.Join(from.bundles, "agent", "env")
	joins := func(arguments ...string) {
		t.Helper()
		out, said := from.types(t, append([]string{"join", "--json", "--name", "agent", "--gateway-url", d.url}, arguments...)...)
		if !out.OK {
			t.Fatal(said)
		}
	}
	want := func(lines ...string) {
		t.Helper()
		data, err := os.ReadFile(env)
		if got := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n"); err != nil || !slices.Equal(got, lines) {
			t.Errorf("got %q, %v, want %q", got, err, lines)
		}
	}
	const first = "# Client agent: read by a shell (set -a; . ./env) or by docker --env-file."
	joins()
	if err := os.WriteFile(env, []byte(strings.Join([]string{first, "MINE=kept", "OPENCLAW_GATEWAY_URL=ws://elsewhere:1",
		"# This is the device's own token, not the gateway's.", "OPENCLAW_GATEWAY_TOKEN=device-token-of-agent", ""}, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		joins("--bridge-url", "ws://127.0.0.1:18790/")
		want(first, "MINE=kept", "OPENCLAW_GATEWAY_URL=ws://127.0.0.1:18790/agent", "# The bridge signs for this client: bootstrap bridge.",
			"OPENCLAW_GATEWAY_TOKEN=none-the-bridge-signs")
	}
	for range 2 {
		joins("--bridge-url", "ws://127.0.0.1:18790", "--bridge-tokens")
		token, err := os.ReadFile(filepath.Join(from.bundles, "agent", "bridge-token"))
		if err != nil {
			t.Fatal(err)
		}
		want(first, "MINE=kept", "OPENCLAW_GATEWAY_URL=ws://127.0.0.1:18790/agent", "# The bridge signs for this client: bootstrap bridge.",
			"OPENCLAW_GATEWAY_TOKEN="+strings.TrimSpace(string(token)))
	}
	// A token that is shell code is none; whoever can write the bundle can put one there.
	if err := os.WriteFile(filepath.Join(from.bundles, "agent", "bridge-token"), []byte("$(id>PWNED)-long-enough"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, said := from.types(t, "join", "--json", "--name", "agent", "--gateway-url", d.url, "--bridge-url", "ws://127.0.0.1:18790"); out.OK || strings.Contains(said, "PWNED") {
		t.Errorf("it was taken: %s", said)
	}
	if err := os.Remove(filepath.Join(from.bundles, "agent", "bridge-token")); err != nil {
		t.Fatal(err)
	}
	joins()
	want(first, "MINE=kept", "OPENCLAW_GATEWAY_URL="+d.url, "# This is the device's own token, not the gateway's.", "OPENCLAW_GATEWAY_TOKEN=device-token-of-agent")
}

// A client's own directory has an openclaw.json as well, and one that no gateway reads: a
// device that is put there is in nowhere, and would be said to be an administrator.
func TestADirectoryOfARemoteGatewaysClientIsNotSeeded(t *testing.T) {
	for remote, wanted := range map[string]string{
		"wss://gw.example/base?token=hush": "--gateway-url wss://gw.example/base",
		"wss://me:hush@gw.example":         "--gateway-url wss://HOST:PORT",
		"wss://gw/';id":                    "--gateway-url wss://HOST:PORT",
	} {
		from := newJoinFrom(t, "BOOTSTRAP_LOG_FORMAT=json")
		state := filepath.Join(filepath.Dir(from.bundles), "state")
		if err := os.Mkdir(state, 0o700); err != nil {
			t.Fatal(err)
		}
		config, _ := json.Marshal(map[string]any{"gateway": map[string]any{"mode": "remote", "remote": map[string]any{"url": remote}}})
		if err := os.WriteFile(filepath.Join(state, "openclaw.json"), config, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, words := range [][]string{{"join", "--json", "--name", "agent"}, {"seed"}, {"seed", "--dry-run"}} {
			out, said := from.types(t, words...)
			if out.ExitCode != Usage || !strings.Contains(said, wanted) || strings.Contains(said, "hush") {
				t.Errorf("%v ended with %d:\n%s", words, out.ExitCode, said)
			}
			if left, err := os.ReadDir(state); err != nil || len(left) != 1 {
				t.Errorf("%v left %v, %v", words, left, err)
			}
		}
		d := openDoor(t, letAllIn)
		if out, said := from.types(t, "join", "--json", "--name", "agent", "--gateway-url", d.url); out.Way != "let-in" {
			t.Errorf("where the gateway is named: %s", said) // through a tunnel, perhaps
		}
	}
}

// 2026.9.6 follows what the .env file of its first directory says, until that does not
// change any more: what is written into the first is read by nobody.
func TestADirectoryThatLeadsElsewhereIsNotSeeded(t *testing.T) {
	for file, text := range map[string]string{
		".env":          "OPENCLAW_STATE_DIR=/x\n",
		"openclaw.json": `{"env":{"OPENCLAW_STATE_DIR":"/x"}}`,
	} {
		home := t.TempDir()
		state := filepath.Join(home, ".openclaw")
		if err := os.Mkdir(state, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		from := joinFrom{environ: []string{"HOME=" + home, "BOOTSTRAP_LOG_FORMAT=json"}}
		for _, words := range [][]string{{"seed"}, {"seed", "--dry-run"}, {"join", "--json", "--name", "agent"}} {
			out, said := from.types(t, words...)
			if out.ExitCode != Usage || !strings.Contains(said, "OPENCLAW_STATE_DIR=/x") {
				t.Errorf("%s, %v ended with %d:\n%s", file, words, out.ExitCode, said)
			}
			if left, err := os.ReadDir(state); err != nil || len(left) != 1 {
				t.Errorf("%s, %v left %v, %v", file, words, left, err)
			}
		}
		if out, said := from.types(t, "seed", "--state-dir", state); out.ExitCode != OK {
			t.Errorf("%s, named: %d\n%s", file, out.ExitCode, said)
		}
	}
}

func TestADoubtIsToldBySeedToo(t *testing.T) {
	from := newJoinFrom(t)
	state := filepath.Join(filepath.Dir(from.bundles), "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, ".env"), []byte("OPENCLAW_CONFIG_PATH=/x/y.json\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, said := from.types(t, "seed"); out.ExitCode != OK || !strings.Contains(said, "sets OPENCLAW_CONFIG_PATH") {
		t.Errorf("it ended with %d:\n%s", out.ExitCode, said)
	}
}
