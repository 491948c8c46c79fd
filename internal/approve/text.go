package approve

import (
	"strings"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// maxListed bounds what one line repeats of a peer's list.
const maxListed = 32

// list is roles or scopes of a peer on one line, fit to print.
func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(clipAll(words), ",")
}

// clip makes a peer's text fit for a line; an id or key as gateways make them
// stays as it is.
func clip(text string) string { return protocol.Clean(text) }

func clipAll(words []string) []string {
	out := []string{}
	for _, word := range words[:min(len(words), maxListed)] {
		out = append(out, clip(word))
	}
	return out
}

func orDash(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}
