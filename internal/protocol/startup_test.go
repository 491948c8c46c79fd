package protocol

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestOnlyAGatewayHereThatSaysSoIsStarting(t *testing.T) {
	status := http.StatusServiceUnavailable
	var paths []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization"))
		w.WriteHeader(status)
	}))
	defer server.Close()
	url := strings.Replace(server.URL, "http", "ws", 1)
	ask := func(url string) bool { return IsStarting(context.Background(), DialOptions{URL: url}) }
	if !ask(strings.Replace(url, "ws://", "ws://user:hunter2@", 1) + "/path?token=hunter2") {
		t.Error("503 is not starting")
	}
	if want := "GET /startupz "; len(paths) != 1 || paths[0] != want {
		t.Errorf("asked %q, want %q", paths, want)
	}
	for _, status = range []int{200, 404, 401, 302, 500, 502} {
		if ask(url) {
			t.Errorf("%d is starting", status)
		}
	}
	asked := len(paths)
	status = http.StatusServiceUnavailable
	for _, elsewhere := range []string{strings.Replace(url, "127.0.0.1", "localhost", 1), "ws://192.0.2.1:1", "://", ""} {
		if ask(elsewhere) {
			t.Errorf("%q is starting", elsewhere)
		}
	}
	if len(paths) != asked {
		t.Error("an address that is not loopback was asked")
	}
	server.Close()
	if ask(url) {
		t.Error("nobody is starting")
	}
}
