package seed

import (
	"encoding/json"
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

// audit appends a line to bootstrap/audit.jsonl, which is never rewritten.
func (s *Session) audit(action, name, deviceID string, scopes []string) error {
	path := filepath.Join(Dir(s.options.StateDir), "audit.jsonl")
	line, err := json.Marshal(auditLine{
		Time: time.Now().UTC().Format(time.RFC3339Nano), Action: action, Name: name,
		DeviceID: deviceID, Scopes: scopes, Store: s.store.kind(), UID: os.Geteuid(),
	})
	if err == nil {
		err = atomicfile.Append(path, append(line, '\n'))
	}
	if err != nil {
		return &StoreError{Path: path, Err: err}
	}
	return nil
}
