package protocol

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
)

// TransportKind tells apart the ways in which there is no conversation.
type TransportKind string

const (
	// BadURL is a URL that cannot name a gateway.
	BadURL TransportKind = "bad-url"
	// Refused is a port on which nobody listens.
	Refused TransportKind = "connection-refused"
	// Lost is a connection that ended without a close frame: reset or EOF.
	Lost TransportKind = "connection-lost"
	// Timeout is a peer that did not answer in time.
	Timeout TransportKind = "timeout"
	// Canceled is our own caller giving up.
	Canceled TransportKind = "canceled"
	// Name is a host name that does not resolve.
	Name TransportKind = "name-not-found"
	// Unroutable is an address that cannot be reached from here.
	Unroutable TransportKind = "unroutable"
	// TLS is a certificate that is not trusted, or a peer without TLS.
	TLS TransportKind = "tls"
	// HTTP is an answer other than 101 to the upgrade; see Status.
	HTTP TransportKind = "http"
	// Foreign is a port where another process listens than the gateway's.
	Foreign TransportKind = "foreign-listener"
	// NotGateway is a peer that speaks something else.
	NotGateway TransportKind = "not-a-gateway"
	// Other is any other network fault.
	Other TransportKind = "network"
)

// TransportError says why no gateway answered.
type TransportError struct {
	Kind TransportKind
	// URL has neither credentials nor query.
	URL string
	// Status, Location and Body (its start) are the HTTP answer's.
	Status   int
	Location string
	Body     string
	Err      error
}

func (e *TransportError) Error() string {
	if e.URL == "" {
		return "cannot reach gateway: " + e.Err.Error()
	}
	return "cannot reach gateway at " + e.URL + ": " + e.Err.Error()
}

func (e *TransportError) Unwrap() error { return e.Err }

// transportError sorts an error of net, tls or websocket.
func transportError(ctx context.Context, shown string, err error) *TransportError {
	// url.Error repeats the request's URL with its query.
	if outer := (*url.Error)(nil); errors.As(err, &outer) {
		err = outer.Err
	}
	return &TransportError{Kind: transportKind(ctx, err), URL: shown, Err: err}
}

func transportKind(ctx context.Context, err error) TransportKind {
	var (
		dns  *net.DNSError
		pin  *PinError
		cert *tls.CertificateVerificationError
		rec  tls.RecordHeaderError
		al   tls.AlertError
		host x509.HostnameError
		netE net.Error
		peer *ListenerError
	)
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(ctx.Err(), context.Canceled):
		return Canceled
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		return Timeout
	case errors.As(err, &peer):
		return Foreign
	case errors.As(err, &dns):
		return Name
	case errors.As(err, &pin), errors.As(err, &cert), errors.As(err, &rec), errors.As(err, &al),
		errors.As(err, &host), errors.Is(err, http.ErrSchemeMismatch), isRemoteAlert(err):
		return TLS
	case errors.Is(err, syscall.ECONNREFUSED):
		return Refused
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EADDRNOTAVAIL):
		return Unroutable
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed):
		return Lost
	case errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &netE) && netE.Timeout():
		return Timeout
	case strings.Contains(err.Error(), "malformed HTTP"), strings.Contains(err.Error(), "protocol violation"):
		return NotGateway
	}
	return Other
}

// isRemoteAlert finds the peer's TLS alert, which crypto/tls reports as a
// net.OpError of its own ("remote error: tls: ...").
func isRemoteAlert(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}
