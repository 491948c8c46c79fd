package protocol

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
)

// dialStage remembers what a dial waits for, so that one whose time is up can say it.
type dialStage struct {
	said atomic.Pointer[string]
	conn net.Conn // the one that the request went over
}

func (s *dialStage) set(words string) { s.said.Store(&words) }

func (s *dialStage) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(info httptrace.DNSStartInfo) {
			s.set("no answer in time to the look-up of the name " + strconv.Quote(info.Host))
		},
		ConnectStart:      func(_, address string) { s.set("no answer in time from " + address) },
		GotConn:           func(info httptrace.GotConnInfo) { s.conn = info.Conn },
		TLSHandshakeStart: func() { s.set("no answer in time to the TLS handshake") },
		WroteRequest: func(httptrace.WroteRequestInfo) {
			s.set("no answer in time to the WebSocket upgrade")
		},
	})
}

// explain replaces "context deadline exceeded" by what was waited for.
func (s *dialStage) explain(err error) error {
	if said := s.said.Load(); said != nil && errors.Is(err, context.DeadlineExceeded) {
		return &lateError{*said, err}
	}
	return err
}

// lateError says in words what took too long.
type lateError struct {
	words string
	err   error
}

func (e *lateError) Error() string { return e.words }
func (e *lateError) Unwrap() error { return e.err }
