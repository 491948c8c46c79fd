package identity

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
	"time"
)

// Parse reads private key material as people keep it in a secret store: a PEM
// block, 64 hex digits, or base64 (either alphabet) of the 32-byte seed.
func Parse(text string, now time.Time) (Identity, error) {
	if looksLikePEM(text) {
		return FromPEM(text, now)
	}
	text = strings.TrimSpace(text)
	if seed, err := hex.DecodeString(text); err == nil && len(seed) == 32 {
		return FromSeed(seed, now)
	}
	unpadded := strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawURLEncoding, base64.RawStdEncoding} {
		if seed, err := encoding.Strict().DecodeString(unpadded); err == nil && len(seed) == 32 {
			return FromSeed(seed, now)
		}
	}
	return Identity{}, &Error{Fault: "the key is neither a PEM block \"PRIVATE KEY\" nor a 32-byte seed in hex or base64"}
}
