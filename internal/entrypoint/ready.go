package entrypoint

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/health"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
)

// readiness is whether the gateway is there and has let our device in. The
// ready file, where there is one, says the same to whoever looks for it.
type readiness struct {
	file string // empty where there is none

	lock    sync.Mutex
	verdict *probe.Verdict // the last one; nil until there is one
	// changed gets a value when there is another one; it has room for one.
	changed chan struct{}
}

// newReadiness begins unready. Before anything that may wait, what an earlier
// start has left is removed; not where a gateway runs on this directory, for then the
// file is that one's, and this start is about to be refused.
func (e *Entrypoint) newReadiness(ctx context.Context) (*readiness, error) {
	r := &readiness{changed: make(chan struct{}, 1)}
	switch {
	case e.Settings.ReadyFile == "off":
	case e.Settings.ReadyFile != "":
		r.file = e.Settings.ReadyFile
	case os.Getpid() != 1: // it would be another bootstrap's too
	default:
		if r.file = usualReadyFile("/run", os.TempDir()); r.file == "" {
			e.Log.Warn().Str("hint", "give the container a tmpfs on /run, or name another place with --ready-file, or off").
				Msg("there is no ready file: neither in /run nor in " + os.TempDir() + " can this user keep one that nobody else can make")
		}
	}
	if _, err := os.Lstat(r.file); err != nil || e.IsLive(ctx) || gateway.Running(e.StateDir) {
		return r, nil
	}
	return r, r.begin()
}

// begin removes what stands there before a gateway is started.
func (r *readiness) begin() error { return r.usage(r.forget()) }

// check fails where the ready file could not be written later, when somebody waits for it.
func (r *readiness) check() error {
	if r.file == "" {
		return nil
	}
	directory := filepath.Dir(r.file)
	if err := unix.Access(directory, unix.W_OK|unix.X_OK); err != nil {
		return r.usage(&fs.PathError{Op: "write into", Path: directory, Err: err})
	}
	return nil
}

func (r *readiness) usage(err error) error {
	if err != nil {
		err = pairing.Usage(fmt.Errorf("--ready-file (BOOTSTRAP_READY_FILE): %w", err), "name a place that can be written, such as a tmpfs, or off")
	}
	return err
}

// usualReadyFile is the default path of the ready file: into run, or
// into a directory of this user's own in temp, for that is everybody's. It is ""
// where neither can be written, or somebody else was there first. It is never on a
// volume, which would keep it when the container is gone.
func usualReadyFile(run, temp string) string {
	const name = "bootstrap.ready"
	self := os.Geteuid()
	isOurs := func(path string) bool {
		var stat unix.Stat_t
		err := unix.Lstat(path, &stat)
		return errors.Is(err, fs.ErrNotExist) || err == nil && (self == 0 || int(stat.Uid) == self)
	}
	if file := filepath.Join(run, name); unix.Access(run, unix.W_OK) == nil && isOurs(file) {
		return file
	}
	private := filepath.Join(temp, fmt.Sprintf("bootstrap-%d", self))
	if err := os.Mkdir(private, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return ""
	}
	var stat unix.Stat_t
	if unix.Lstat(private, &stat) != nil || int(stat.Uid) != self || stat.Mode&(unix.S_IFMT|0o022) != unix.S_IFDIR {
		return ""
	}
	return filepath.Join(private, name)
}

// prove takes in a verdict, and makes or removes the file.
func (r *readiness) prove(verdict probe.Verdict) error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.set(&verdict)
	if err := r.removeFile(); err != nil || !verdict.OK || r.file == "" {
		return err
	}
	file, err := os.OpenFile(r.file, os.O_WRONLY|os.O_CREATE|os.O_EXCL|unix.O_NOFOLLOW, 0o644)
	if err != nil {
		return fmt.Errorf("cannot write the ready file: %w", err)
	}
	_, err = fmt.Fprintln(file, time.Now().UTC().Format(time.RFC3339))
	return errors.Join(err, file.Close())
}

// forget makes it unready until the next proof.
func (r *readiness) forget() error {
	r.lock.Lock()
	defer r.lock.Unlock()
	r.set(nil)
	return r.removeFile()
}

// set is for who has the lock.
func (r *readiness) set(verdict *probe.Verdict) {
	r.verdict = verdict
	select {
	case r.changed <- struct{}{}:
	default: // nobody has looked since the last one
	}
}

func (r *readiness) removeFile() error {
	if r.file == "" {
		return nil
	}
	if err := os.Remove(r.file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot remove the ready file: %w", err)
	}
	return nil
}

// state is the last verdict, and whether it says ready.
func (r *readiness) state() (verdict probe.Verdict, ready bool) {
	r.lock.Lock()
	defer r.lock.Unlock()
	if r.verdict == nil {
		return probe.Verdict{Outcome: probe.StillStarting, Message: "the gateway has not answered yet"}, false
	}
	return *r.verdict, r.verdict.OK
}

// isReady is what every way of asking is told: the pairing is proven, and the bridge,
// where there is one, reaches the gateway.
func (e *Entrypoint) isReady(ctx context.Context, bridge *openedBridge) (health.State, bool) {
	verdict, ok := e.ready.state()
	if !ok {
		return health.State{Status: verdict.Outcome.String(), Message: verdict.Message}, false
	}
	if err := bridge.ready(ctx); err != nil {
		return health.State{Status: "bridge", Message: err.Error()}, false
	}
	return health.State{Status: "ready", Message: verdict.Message}, true
}

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
	probes := health.Probes(func(ctx context.Context) (health.State, bool) { return e.isReady(ctx, bridge) },
		http.StatusNotFound, "ask for /livez, /readyz or /metrics")
	probes = health.Metrics(func() []health.Metric { return e.metrics(bridge) }, probes)
	h := &healthServer{address: listener.Addr().String(), server: health.NewServer(probes)}
	go func() {
		if err := h.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			e.Log.Warn().Err(err).Msg("health answers no more")
		}
	}()
	e.Log.Info().Str("address", listener.Addr().String()).Msg("health: /livez, /readyz and /metrics")
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
