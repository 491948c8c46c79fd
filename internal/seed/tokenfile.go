package seed

import (
	"bytes"
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/shell"
)

// tokenFile is identity/device-auth.json, which the CLI uses where no gateway
// token is configured.
type tokenFile struct {
	path string
	object
}

// maxLocalSize bounds what is read of it: it has some 500 bytes.
const maxLocalSize = 1 << 20

func tokenPath(stateDir string) string {
	return filepath.Join(stateDir, "identity", "device-auth.json")
}

// readTokenFile reads the file as far as it speaks of the given device: the
// CLI ignores another device's, and so do we.
func readTokenFile(stateDir, deviceID string) (tokenFile, error) {
	file := tokenFile{path: tokenPath(stateDir)}
	data, err := atomicfile.Read(file.path, maxLocalSize)
	if errors.Is(err, fs.ErrNotExist) {
		return file, nil
	}
	if err != nil {
		return file, file.fail(err)
	}
	if file.object, err = parseObject(data); err != nil {
		return file, file.fail(err)
	}
	if owner, _ := decode[string](file.get("deviceId")); owner != deviceID {
		file.object = object{}
	}
	return file, nil
}

func (f tokenFile) fail(err error) error {
	return &StoreError{Path: f.path, Err: err, Fix: "it is a copy that can be made again: mv " + shell.Quote(f.path) + " " + shell.Quote(f.path+".broken")}
}

// operator is the operator's part: its token is a secret.
func (f tokenFile) operator() (all, operator object) {
	all = objectOrEmpty(f.get("tokens"))
	return all, objectOrEmpty(all.get(roleOperator))
}

// matches tells whether the file has this very token, for these scopes.
func (f tokenFile) matches(token string, scopes []string) bool {
	_, operator := f.operator()
	haveToken, _ := decode[string](operator.get("token"))
	haveScopes, _ := decode[[]string](operator.get("scopes"))
	version, _ := decode[int](f.get("version"))
	return version == 1 && haveToken == token && slices.Equal(haveScopes, scopes)
}

// keepTokenFile brings the file to the entry's token. What it says of other
// roles stays; where it says the same already it is not touched.
func keepTokenFile(stateDir, deviceID string, token string, scopes []string) (written bool, err error) {
	file, err := readTokenFile(stateDir, deviceID)
	if err != nil || file.matches(token, scopes) {
		return false, err
	}
	if err := atomicfile.MakeDir(filepath.Dir(file.path)); err != nil {
		return false, file.fail(err)
	}
	if err := atomicfile.Replace(file.path, file.saying(deviceID, token, scopes)); err != nil {
		return false, file.fail(err)
	}
	return true, nil
}

// saying is the file's content with that token.
func (f tokenFile) saying(deviceID, token string, scopes []string) []byte {
	file := f
	all, operator := file.operator()
	operator.set("token", token)
	operator.set("role", roleOperator)
	operator.set("scopes", scopes)
	operator.set("updatedAtMs", time.Now().UnixMilli())
	all.set(roleOperator, operator)
	file.set("version", 1)
	file.set("deviceId", deviceID)
	file.set("tokens", all)
	var out bytes.Buffer
	// It cannot fail: the bytes were valid JSON when they were read.
	_ = json.Indent(&out, marshal(file.object), "", "  ")
	out.WriteByte('\n')
	return out.Bytes()
}

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
		return "", false, &StoreError{Path: path, Err: err, Fix: "set OPENCLAW_GATEWAY_TOKEN, or to have a new one made: rm " + shell.Quote(path)}
	}
	return token, created, nil
}
