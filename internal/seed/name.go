package seed

import (
	"regexp"
	"sync"
)

// deviceName is safe as a folder's name on every filesystem.
var deviceName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)
})

// ValidName says that a client can be called so: its bundle is a folder of that
// name.
func ValidName(name string) bool { return deviceName().MatchString(name) }
