package health

import (
	"context"
	"encoding/json"
	"net/http"
	"time"
)

// State is one answer. As JSON it is a contract.
type State struct {
	// Status is a word for programs: ok, ready, or what is missing.
	Status string `json:"status"`
	// Message is a sentence for people.
	Message string `json:"message"`
}

const (
	// readyPatience is how long it may take to find out whether all is ready.
	readyPatience = 3 * time.Second
	// maxAsking is how many may wait for that at once.
	maxAsking = 64
)

// Probes answer GET /livez while they are served, and GET /readyz by what ready
// says. What else is asked for gets the code and the message of otherwise.
func Probes(ready func(context.Context) (State, bool), otherwise int, message string) http.Handler {
	asking := make(chan struct{}, maxAsking)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path != "/livez" && r.URL.Path != "/readyz":
			answer(w, otherwise, State{"unknown", message})
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			answer(w, http.StatusMethodNotAllowed, State{"unknown", "ask with GET"})
		case r.URL.Path == "/livez":
			answer(w, http.StatusOK, State{"ok", "ok"})
		default:
			select {
			case asking <- struct{}{}:
				defer func() { <-asking }()
			default:
				answer(w, http.StatusServiceUnavailable, State{"busy", "too many ask at once"})
				return
			}
			ctx, cancel := context.WithTimeout(r.Context(), readyPatience)
			defer cancel()
			code := http.StatusOK
			state, ok := ready(ctx)
			if !ok {
				code = http.StatusServiceUnavailable
			}
			answer(w, code, state)
		}
	})
}

func answer(w http.ResponseWriter, code int, state State) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(state)
}
