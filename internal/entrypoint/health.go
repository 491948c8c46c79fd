package entrypoint

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"

	"github.com/reflectt/bootstrap/internal/health"
	"github.com/reflectt/bootstrap/internal/pairing"
)

// healthServer answers an orchestrator: /livez while the gateway is being
// supervised, /readyz once its pairing is proven and its bridge, where there is one,
// reaches it.
type healthServer struct {
	server  *http.Server
	address string
}

// listenHealth starts to answer where the settings say; nil where they do not.
func (e *Entrypoint) listenHealth(bridge *openedBridge) (*healthServer, error) {
	if e.Settings.HealthListen == "" {
		return nil, nil
	}
	listener, err := net.Listen("tcp", string(e.Settings.HealthListen))
	if err != nil {
		return nil, pairing.Usage(errors.New("--health-listen (BOOTSTRAP_HEALTH_LISTEN): "+err.Error()), "choose an address and port that are free")
	}
	probes := health.Probes(func(ctx context.Context) (health.State, bool) {
		verdict, ok := e.ready.state()
		if !ok {
			return health.State{Status: verdict.Outcome.String(), Message: verdict.Message}, false
		}
		if err := bridge.ready(ctx); err != nil {
			return health.State{Status: "bridge", Message: err.Error()}, false
		}
		return health.State{Status: "ready", Message: verdict.Message}, true
	}, http.StatusNotFound, "ask for /livez or /readyz")
	h := &healthServer{address: listener.Addr().String(), server: health.NewServer(probes)}
	go func() {
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.Log.Warn().Err(err).Msg("health answers no more")
		}
	}()
	e.Log.Info().Str("address", listener.Addr().String()).Msg("health: /livez and /readyz")
	return h, nil
}

func (h *healthServer) close() {
	if h == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = h.server.Shutdown(ctx)
}
