package probe

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
)

// answerConnect plays a gateway until it has answered a connect request, with the members
// given, and then leaves the connection to after.
func answerConnect(w http.ResponseWriter, r *http.Request, answer string, after ...func()) {
	ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer func() { _ = ws.CloseNow() }()
	say := func(frame string) { _ = ws.Write(r.Context(), websocket.MessageText, []byte(frame)) }
	say(`{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795362805122}}`)
	var asked struct{ ID string }
	if _, data, err := ws.Read(r.Context()); err != nil || json.Unmarshal(data, &asked) != nil {
		return
	}
	say(`{"type":"res","id":"` + asked.ID + `",` + answer + `}`)
	for _, do := range after {
		do()
	}
}

// refusing is a gateway that answers every connect with an error.
func refusing(t *testing.T, refusal string) (url string) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerConnect(w, r, `"ok":false,"error":`+refusal)
	}))
	t.Cleanup(server.Close)
	return "ws" + strings.TrimPrefix(server.URL, "http")
}

// To a connect without a device all releases say the same (2026.5.28, 2026.8.2, 2026.9.6):
// whether the page would have had one there is the release's own matter.
func TestWhatABrowserWithoutADeviceWouldMeet(t *testing.T) {
	const (
		device = `{"code":"INVALID_REQUEST","message":"control ui requires device identity (use HTTPS or localhost secure context)","details":{"code":"CONTROL_UI_DEVICE_IDENTITY_REQUIRED"}}`
		origin = `{"code":"INVALID_REQUEST","message":"origin not allowed","details":{"code":"CONTROL_UI_ORIGIN_NOT_ALLOWED"}}`
	)
	for name, test := range map[string]struct {
		page    Page
		refusal string
		want    Outcome
		says    string
	}{
		"2026.9.6, plain http":          {Page{}, device, NotPaired, "needs a link or an approval"},
		"2026.5.28, https":              {Page{NoLinks: true}, device, NotPaired, "a new one needs an approval"},
		"2026.5.28, plain http":         {Page{NoLinks: true, NoKey: true}, device, TLSOrOrigin, "Secure browser context required"},
		"2026.5.28, localhost":          {Page{NoLinks: true, Loopback: true}, device, OK, "nobody has to approve it"},
		"2026.5.28, plain http, a name": {Page{NoLinks: true, NoKey: true}, origin, TLSOrOrigin, "origin not allowed"},
	} {
		t.Run(name, func(t *testing.T) {
			test.page.URL, test.page.Origin = refusing(t, test.refusal), "http://nas"
			test.page.Token = "a-token"
			got := Browser(context.Background(), test.page)
			if got.Outcome != test.want || !strings.Contains(got.Message, test.says) {
				t.Errorf("%s: %s, want %s: %s", got.Outcome, got.Message, test.want, test.says)
			}
		})
	}
}

// What takes the connection and then says nothing must not keep "status" for ever.
func TestAPageThatSaysNothingIsUnreachable(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ws, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true}); err == nil {
			<-over
			_ = ws.CloseNow()
		}
	}))
	defer server.Close()
	defer close(over)
	page := Page{URL: strings.Replace(server.URL, "http", "ws", 1), Origin: server.URL}
	if v := page.ask(t.Context(), 100*time.Millisecond); v.Outcome != Unreachable || v.OK {
		t.Errorf("got %+v", v)
	}
}

func TestARefusedTokenIsAWholeVerdict(t *testing.T) {
	page := Page{Origin: "http://nas", Token: "wrong"}
	page.URL = refusing(t, `{"code":"INVALID_REQUEST","message":"unauthorized","details":{"code":"AUTH_TOKEN_MISMATCH"}}`)
	if v := Browser(t.Context(), page); v.Outcome != GatewayAuth || v.Auth == "" || v.URL == "" || v.Attempts != 1 {
		t.Errorf("got %+v", v)
	}
}
