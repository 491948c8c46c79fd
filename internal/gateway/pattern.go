package gateway

import (
	"regexp"
	"sync"
)

// pattern compiles an expression when it is first needed: most starts need none,
// and all of them together take longer than reading the whole installation.
func pattern(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}
