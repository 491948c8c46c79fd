package bridge

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/protocol"
)

// maxCAFile bounds what is read; the largest system bundles have some 300 kB.
const maxCAFile = 4 << 20

// tlsConfig trusts what [protocol.TLSOptions] say, as [protocol.Dial] does. The
// files are read once: a fault is told when the bridge starts.
func tlsConfig(options protocol.TLSOptions) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if options.CAFile != "" {
		data, err := atomicfile.ReadMounted(options.CAFile, maxCAFile)
		if err != nil {
			return nil, fmt.Errorf("cannot read CA file: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(data) {
			return nil, fmt.Errorf("cannot read CA file: %s holds no PEM certificate", options.CAFile)
		}
	}
	if options.PinnedFingerprint == "" {
		return config, nil
	}
	pin, err := hex.DecodeString(strings.ReplaceAll(strings.TrimSpace(options.PinnedFingerprint), ":", ""))
	if err != nil || len(pin) != sha256.Size {
		return nil, errors.New("a pinned fingerprint is the SHA-256 of the certificate: 64 hex digits, colons allowed")
	}
	// The check below replaces the usual one and runs on every connection.
	config.InsecureSkipVerify = true
	config.VerifyConnection = func(state tls.ConnectionState) error {
		got := sha256.Sum256(state.PeerCertificates[0].Raw)
		if !bytes.Equal(got[:], pin) {
			return &protocol.PinError{Got: hex.EncodeToString(got[:])}
		}
		return nil
	}
	return config, nil
}
