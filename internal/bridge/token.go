package bridge

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/seed"
)

// minToken is the least length of a bridge token, in characters.
const minToken = 16

// tokenPath is the file of a bundle that holds what its client has to show.
func tokenPath(bundleDir string) string { return filepath.Join(bundleDir, "bridge-token") }

// MakeToken puts a token of the client's own into its bundle, 32 random bytes in
// base64url, where there is none; one that is there stays.
func MakeToken(bundle seed.Bundle) error {
	path := tokenPath(bundle.Dir)
	if atomicfile.Exists(path) {
		return nil
	}
	return bundle.Locked(func() error {
		if atomicfile.Exists(path) {
			return nil // somebody else was quicker
		}
		random := make([]byte, 32)
		_, _ = rand.Read(random) // never fails
		return seed.Unusable(path, atomicfile.Create(path, []byte(base64.RawURLEncoding.EncodeToString(random)+"\n")))
	})
}

// Token is what the bundle's client has to show to the bridge; empty where it has
// no bridge-token of its own.
func Token(bundle seed.Bundle) (string, error) {
	path := tokenPath(bundle.Dir)
	data, err := atomicfile.Read(path, maxClientFile)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	token := strings.TrimSpace(string(data))
	if len(token) < minToken || !identity.IsToken(token) {
		return "", errors.New("cannot use " + path + ": a bridge token has at least 16 characters: letters, digits and ._~+/=-")
	}
	return token, nil
}

// takes tells whether a token that was shown is the one wanted.
func takes(wanted, shown string) bool {
	if wanted == "" {
		return true
	}
	a, b := sha256.Sum256([]byte(wanted)), sha256.Sum256([]byte(shown))
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}
