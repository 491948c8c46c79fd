package seed

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/shell"
)

// GatewayTokenPath is where the gateway's own token is kept where it had to be made.
func GatewayTokenPath(stateDir string) string { return filepath.Join(Dir(stateDir), "gateway-token") }

// GatewayToken returns the gateway's own token that an earlier run made, or
// makes one: for a gateway that has none anywhere and would refuse to listen.
func (s *Session) GatewayToken() (token string, created bool, err error) {
	path := GatewayTokenPath(s.options.StateDir)
	data, err := atomicfile.Read(path, maxLocalSize)
	if errors.Is(err, fs.ErrNotExist) {
		created, data = true, []byte(newToken())
		err = atomicfile.Create(path, data)
	}
	token = strings.TrimSpace(string(data))
	if err == nil && !identity.IsToken(token) {
		err = errors.New("it does not hold a token as bootstrap makes them")
	}
	if err != nil {
		return "", false, &StoreError{Path: path, Err: err, Mend: "set OPENCLAW_GATEWAY_TOKEN, or to have a new one made: rm " + shell.Quote(path)}
	}
	return token, created, nil
}
