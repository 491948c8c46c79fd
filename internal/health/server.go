package health

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// The limits of one server. A request has no body and a kilobyte of headers; who
// needs longer than this to send it is not served. An answer may wait for the
// gateway for some seconds.
const (
	readTimeout  = 5 * time.Second
	writeTimeout = 15 * time.Second
	maxHeader    = 16 << 10 // bytes
	// maxWaiting is how many connections may be there that have sent no request
	// yet. One more ends the oldest of them, so that nobody is kept out by
	// connections that say nothing; each costs some 20 kB.
	maxWaiting = 256
)

// NewServer is a server for requests without a body, one a connection. A handler
// may take over the connection; then the limits are its own.
func NewServer(handler http.Handler) *http.Server {
	waiting := &waitingRoom{most: maxWaiting, arrived: map[net.Conn]uint64{}}
	server := &http.Server{
		Handler:     requests{handler, waiting},
		ReadTimeout: readTimeout, ReadHeaderTimeout: readTimeout, IdleTimeout: readTimeout, WriteTimeout: writeTimeout,
		MaxHeaderBytes: maxHeader,
		ConnState:      waiting.note,
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	// An orchestrator asks every few seconds: its connection would be idle.
	server.SetKeepAlivesEnabled(false)
	return server
}

// connKey is the connection of a request, in its context.
type connKey struct{}

// Conn is the connection of a request to a [NewServer]; else nil.
func Conn(r *http.Request) net.Conn {
	conn, _ := r.Context().Value(connKey{}).(net.Conn)
	return conn
}

// requests lets requests through that have no body.
type requests struct {
	handler http.Handler
	waiting *waitingRoom
}

func (h requests) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.waiting.leave(Conn(r))
	// Whoever takes the connection over would wait for the body first, for ever.
	if r.ContentLength != 0 || len(r.TransferEncoding) > 0 {
		http.Error(w, "a request with a body is not taken", http.StatusBadRequest)
		return
	}
	h.handler.ServeHTTP(w, r)
}

// waitingRoom is where connections are until their request has come.
type waitingRoom struct {
	most int

	mu      sync.Mutex
	last    uint64
	arrived map[net.Conn]uint64
}

func (w *waitingRoom) note(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		w.enter(conn)
	case http.StateClosed, http.StateHijacked:
		w.leave(conn)
	}
}

func (w *waitingRoom) enter(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.arrived) >= w.most {
		var oldest net.Conn
		for other, at := range w.arrived {
			if oldest == nil || at < w.arrived[oldest] {
				oldest = other
			}
		}
		delete(w.arrived, oldest)
		_ = oldest.Close()
	}
	w.last++
	w.arrived[conn] = w.last
}

func (w *waitingRoom) leave(conn net.Conn) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.arrived, conn)
}
