package identity

import (
	"crypto/ed25519"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"time"
)

// PublicPEM is the public key as SPKI in PEM, byte for byte as Node writes it.
func (id Identity) PublicPEM() string { return publicPEM(id.RawPublicKey()) }

// PrivatePEM is the private key as PKCS #8 in PEM, byte for byte as Node
// writes it. It is a secret.
func (id Identity) PrivatePEM() string {
	der, err := x509.MarshalPKCS8PrivateKey(id.private)
	if err != nil {
		panic("an Ed25519 key always marshals: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func publicPEM(public ed25519.PublicKey) string {
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		panic("an Ed25519 key always marshals: " + err.Error())
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// FromPEM reads a PKCS #8 Ed25519 private key.
func FromPEM(text string, created time.Time) (Identity, error) {
	block, err := onlyBlock(text, "PRIVATE KEY", "private key")
	if err != nil {
		return Identity{}, err
	}
	key, err := x509.ParsePKCS8PrivateKey(block)
	if err != nil {
		return Identity{}, &Error{Fault: "the private key is not PKCS #8", Err: err}
	}
	private, ok := key.(ed25519.PrivateKey)
	if !ok {
		return Identity{}, &Error{Fault: "the private key is not an Ed25519 key; make one with: openssl genpkey -algorithm ed25519"}
	}
	return fromPrivate(private, created), nil
}

func parsePublicPEM(text string) (ed25519.PublicKey, error) {
	block, err := onlyBlock(text, "PUBLIC KEY", "public key")
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(block)
	if err != nil {
		return nil, &Error{Fault: "the public key is not SPKI", Err: err}
	}
	public, ok := key.(ed25519.PublicKey)
	if !ok {
		return nil, &Error{Fault: "the public key is not an Ed25519 key"}
	}
	return public, nil
}

// onlyBlock returns the bytes of the one PEM block that text must consist of.
func onlyBlock(text, kind, name string) ([]byte, error) {
	block, rest := pem.Decode([]byte(text))
	switch {
	case block == nil:
		return nil, &Error{Fault: "the " + name + " is not PEM"}
	case block.Type != kind:
		return nil, &Error{Fault: "the " + name + " is a PEM block \"" + block.Type + "\", not \"" + kind + "\""}
	case strings.TrimSpace(string(rest)) != "":
		return nil, &Error{Fault: "there is something after the " + name + "'s PEM block"}
	}
	return block.Bytes, nil
}

func looksLikePEM(text string) bool { return strings.Contains(text, "-----BEGIN ") }
