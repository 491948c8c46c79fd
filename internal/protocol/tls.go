package protocol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
)

// TLSOptions say which certificate of a wss:// gateway is trusted. The zero
// value asks the system's roots.
type TLSOptions struct {
	// CAFile is a PEM file whose certificates are trusted instead of the
	// system's.
	CAFile string
	// PinnedFingerprint is the SHA-256 of the gateway's own certificate (DER)
	// in hex, colons allowed. With it neither issuer, name nor dates count:
	// the gateway signs its own certificate.
	PinnedFingerprint string
	// Own, if set, gives the certificate (DER) of the gateway at the HOST:PORT of
	// OwnAddress. It is asked at each connection to there and pinned, where neither of
	// the above is given: a gateway may make it as it boots.
	Own        func() ([]byte, error)
	OwnAddress string
	// Listener, if set, says whose socket a connection to HOST:PORT reaches. It is
	// asked before a connection and after: where it says two things, or an error,
	// nobody is shown anything, and the error is a [*ListenerError].
	Listener func(ctx context.Context, address string) (string, error)
}

// ListenerError says that another process answers than the gateway that is meant.
type ListenerError struct{ Err error }

func (e *ListenerError) Error() string { return e.Err.Error() }
func (e *ListenerError) Unwrap() error { return e.Err }

// PinError says that the gateway showed another certificate than the pinned.
type PinError struct {
	// Got is the SHA-256 of the certificate shown, in hex.
	Got string
	// Own: pinned was the certificate of [TLSOptions].Own.
	Own bool
}

func (e *PinError) Error() string {
	if e.Own {
		return "the certificate is not the one in the gateway's own file: its SHA-256 is " + e.Got
	}
	return "the certificate is not the pinned one: its SHA-256 is " + e.Got
}

// Check says why no gateway could be dialled with these: the CA file cannot be
// used, or the fingerprint is none.
func (o TLSOptions) Check() error {
	_, err := o.config()
	return err
}

// maxCAFile bounds what is read; the largest system bundles have some 300 kB.
const maxCAFile = 4 << 20

func (o TLSOptions) config() (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		roots, err := readRoots(o.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = roots
	}
	verify := func(shown []*x509.Certificate) error { return o.isOwn(shown, nil) }
	switch {
	case o.PinnedFingerprint != "":
		pin, err := ParseFingerprint(o.PinnedFingerprint)
		if err != nil {
			return nil, err
		}
		verify = func(shown []*x509.Certificate) error {
			if got := sha256.Sum256(shown[0].Raw); !bytes.Equal(got[:], pin) {
				return &PinError{Got: hex.EncodeToString(got[:])}
			}
			return nil
		}
	case o.CAFile != "" || o.Own == nil:
		return config, nil
	}
	// The check below replaces the usual one and runs on every connection,
	// resumed ones included.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error { return verify(state.PeerCertificates) }
	return config, nil
}

// isOwn tells whether the certificate shown is the gateway's own, or one that an authority
// (the system's, where roots is nil) vouches for at that address: the file may be another
// user's, or newer than what the gateway serves.
func (o TLSOptions) isOwn(shown []*x509.Certificate, roots *x509.CertPool) error {
	own, err := o.Own()
	if err == nil && bytes.Equal(shown[0].Raw, own) {
		return nil
	}
	host, _, _ := net.SplitHostPort(o.OwnAddress)
	options := x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: x509.NewCertPool()}
	for _, certificate := range shown[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, unknown := shown[0].Verify(options); unknown == nil {
		return nil
	}
	if err != nil {
		return &tls.CertificateVerificationError{Err: err}
	}
	got := sha256.Sum256(shown[0].Raw)
	return &PinError{Got: hex.EncodeToString(got[:]), Own: true}
}

func readRoots(path string) (*x509.CertPool, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read CA file: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxCAFile))
	if err != nil {
		return nil, fmt.Errorf("cannot read CA file: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("cannot read CA file: %s holds no PEM certificate", path)
	}
	return roots, nil
}

// ParseFingerprint reads the SHA-256 of a certificate as people write it.
func ParseFingerprint(text string) ([]byte, error) {
	digits := strings.ReplaceAll(strings.TrimSpace(text), ":", "")
	pin, err := hex.DecodeString(digits)
	if err != nil || len(pin) != sha256.Size {
		return nil, errors.New("it is not the SHA-256 of a certificate: 64 hex digits, colons allowed")
	}
	return pin, nil
}
