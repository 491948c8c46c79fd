package gateway

// Secret is a token or password. It prints as a placeholder in every form, so
// that a struct that holds one can be logged by mistake and nothing is lost.
type Secret struct{ value string }

// NewSecret wraps a secret.
func NewSecret(value string) Secret { return Secret{value} }

// Reveal returns the secret itself, for the wire and for nothing else.
func (s Secret) Reveal() string { return s.value }

// IsSet tells whether there is one.
func (s Secret) IsSet() bool { return s.value != "" }

// String, GoString and MarshalText never show the secret.
func (s Secret) String() string {
	if s.value == "" {
		return ""
	}
	return "[secret]"
}

func (s Secret) GoString() string { return s.String() }

func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
