package cli

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/reflectt/bootstrap/internal/settings"
)

// health answers an orchestrator: /livez while the gateway is being supervised,
// /readyz once its pairing is proven and its bridge, where there is one, reaches
// it. It tells nothing else and takes nothing.
type health struct {
	server  *http.Server
	address string
}

// bridgePatience is how long the bridge may take to ask the gateway.
const bridgePatience = 3 * time.Second

// listenHealth starts to answer where the settings say; nil where they do not.
func (a *app) listenHealth(s settings.Settings, ready *readiness, bridge *openedBridge) (*health, error) {
	if s.HealthListen == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", string(s.HealthListen))
	if err != nil {
		return nil, &usageError{err: errors.New("--health-listen (BOOTSTRAP_HEALTH_LISTEN): " + err.Error()), hint: "choose an address and port that are free"}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok", "") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		verdict, ok := ready.state()
		if !ok {
			answer(w, http.StatusServiceUnavailable, verdict.Outcome.String(), verdict.Message)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), bridgePatience)
		defer cancel()
		if err := bridge.ready(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, "bridge", err.Error())
			return
		}
		answer(w, http.StatusOK, "ready", verdict.Message)
	})
	h := &health{address: listener.Addr().String(), server: &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second, MaxHeaderBytes: 8 << 10}}
	go func() {
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Warn().Err(err).Msg("health answers no more")
		}
	}()
	a.log.Info().Str("address", listener.Addr().String()).Msg("health: /livez and /readyz")
	return h, nil
}

func (h *health) close() {
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = h.server.Shutdown(ctx)
}

func answer(w http.ResponseWriter, code int, status, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(struct {
		Status  string `json:"status"`
		Message string `json:"message,omitempty"`
	}{status, message})
}
