package seed

import (
	"bytes"
	"os"
	"path/filepath"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
)

// auditLine is one change that was made to a pairing store: no secrets.
type auditLine struct {
	Time     string   `json:"time"`
	Action   string   `json:"action"`
	Name     string   `json:"name"`
	DeviceID string   `json:"deviceId"`
	Scopes   []string `json:"scopes,omitempty"`
	Store    Kind     `json:"store"`
	UID      int      `json:"uid"`
}

func (s *Session) auditLine(action, name, deviceID string, scopes []string) auditLine {
	return auditLine{
		Time: time.Now().UTC().Format(time.RFC3339Nano), Action: action, Name: name,
		DeviceID: deviceID, Scopes: scopes, Store: s.store.kind(), UID: os.Geteuid(),
	}
}

// audit appends lines to bootstrap/audit.jsonl, which is never rewritten.
func (s *Session) audit(lines ...auditLine) error {
	path := filepath.Join(Dir(s.options.StateDir), "audit.jsonl")
	var out bytes.Buffer
	for _, line := range lines {
		out.Write(marshal(line))
		out.WriteByte('\n')
	}
	if err := atomicfile.Append(path, out.Bytes()); err != nil {
		return &StoreError{Path: path, Err: err}
	}
	return nil
}
