package identity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/shell"
)

// FilePath is where gateways up to 2026.7.35, and the CLI beside them, keep
// the identity. Later gateways import the file at their first start.
func FilePath(stateDir string) string {
	return filepath.Join(stateDir, "identity", "device.json")
}

// maxFileSize bounds what is read: a real identity file has some 400 bytes.
const maxFileSize = 64 << 10

// record is the file's form, in the gateway's order.
type record struct {
	Version       int    `json:"version"`
	DeviceID      string `json:"deviceId"`
	PublicKeyPEM  string `json:"publicKeyPem"`
	PrivateKeyPEM string `json:"privateKeyPem"`
	CreatedAtMs   int64  `json:"createdAtMs"`
}

// Marshal is the identity as the gateway writes it: two spaces of indent and a
// newline at the end. It contains the private key.
func (id Identity) Marshal() []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(record{
		Version:       1,
		DeviceID:      id.DeviceID(),
		PublicKeyPEM:  id.PublicPEM(),
		PrivateKeyPEM: id.PrivatePEM(),
		CreatedAtMs:   id.created.UnixMilli(),
	})
	if err != nil {
		panic("an identity always marshals: " + err.Error())
	}
	return out.Bytes()
}

// Unmarshal reads what [Identity.Marshal] writes. Unknown fields are ignored,
// as the gateway ignores them. It fails with an [Error].
func Unmarshal(data []byte) (Identity, error) {
	var r record
	if err := json.Unmarshal(data, &r); err != nil {
		return Identity{}, &Error{Fault: "not the JSON of an identity", Err: err}
	}
	if r.Version != 1 {
		return Identity{}, &Error{Fault: fmt.Sprintf("version is %d, and only 1 is known", r.Version)}
	}
	return FromRecord(r.DeviceID, r.PublicKeyPEM, r.PrivateKeyPEM, time.UnixMilli(r.CreatedAtMs))
}

// FromRecord verifies the four values that the gateway stores, in its file or
// in its database: both keys must parse, belong together and give the device
// id. It fails with an [Error] that names the value at fault.
func FromRecord(deviceID, publicPEM, privatePEM string, created time.Time) (Identity, error) {
	id, err := fromPEMs(publicPEM, privatePEM, created)
	if err != nil {
		return Identity{}, err
	}
	if deviceID != id.DeviceID() {
		return Identity{}, &Error{Fault: "deviceId is not the SHA-256 of the public key (expected " + id.DeviceID() + ")"}
	}
	return id, nil
}

// fromPEMs is the identity of two keys that belong together.
func fromPEMs(publicPEM, privatePEM string, created time.Time) (Identity, error) {
	if private, ok := quickPair(publicPEM, privatePEM); ok {
		return fromPrivate(private, created), nil
	}
	id, err := FromPEM(privatePEM, created)
	if err != nil {
		return Identity{}, err
	}
	public, err := parsePublicPEM(publicPEM)
	if err != nil {
		return Identity{}, err
	}
	if !public.Equal(id.RawPublicKey()) {
		return Identity{}, &Error{Fault: "the public key does not belong to the private key"}
	}
	return id, nil
}

// Load reads an identity file. The error wraps [fs.ErrNotExist] where there is
// none, and is an [Error] where there is one that does not hold.
func Load(path string) (Identity, error) {
	data, err := atomicfile.Read(path, maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, err
	}
	if err != nil {
		return Identity{}, &Error{Path: path, Fault: "it cannot be read", Err: err}
	}
	id, err := Unmarshal(data)
	if fault := (*Error)(nil); errors.As(err, &fault) {
		fault.Path = path
		fault.Fix = "restore it from a backup; or, to become a new device, which has to be paired anew with --reseed: mv " + shell.Quote(path) + " " + shell.Quote(path+".broken")
	}
	return id, err
}

// Store writes the identity to a path where nothing is yet: mode 0600 in a
// directory of mode 0700. It never replaces a file: the error then wraps
// [fs.ErrExist].
func (id Identity) Store(path string) error { return id.store(path, atomicfile.Create) }

// StoreUnsynced is [Identity.Store] for who writes more into the directory: the file is
// on disk once the caller has called [atomicfile.SyncDir] for that.
func (id Identity) StoreUnsynced(path string) error {
	return id.store(path, atomicfile.CreateUnsynced)
}

func (id Identity) store(path string, create func(string, []byte) error) error {
	if err := atomicfile.MakeDir(filepath.Dir(path)); err != nil {
		return &Error{Path: path, Fault: "its directory cannot be made", Err: err}
	}
	if err := create(path, id.Marshal()); err != nil {
		return &Error{Path: path, Fault: "it cannot be written", Err: err}
	}
	return nil
}
