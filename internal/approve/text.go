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

func clipAll(words []string) []string {
	return protocol.CleanAll(words[:min(len(words), maxListed)])
}
