package identity

// maxToken in characters is far beyond the 43 of the gateway's own device tokens
// (2026.2.26 to 2026.9.6).
const maxToken = 512

// IsToken tells whether a text can be a device token, or a token that bootstrap
// has made: [A-Za-z0-9._~+/=-], 1 to 512 of them. Whoever takes a token in, from a
// gateway, a store or a file, asks here: it ends up in a file that a shell reads.
// The gateway's own token is none of these: a person may have chosen any text.
func IsToken(text string) bool {
	if text == "" || len(text) > maxToken {
		return false
	}
	for _, c := range []byte(text) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9':
		case c == '.', c == '_', c == '~', c == '+', c == '/', c == '=', c == '-':
		default:
			return false
		}
	}
	return true
}
