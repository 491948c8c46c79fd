package seed

import (
	"bytes"
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
	// Via is "gateway" where the gateway was asked for the change.
	Via string `json:"via,omitempty"`
	// Link and By are for a browser's link: which, and the uid that asked for it,
	// before rights were dropped.
	Link string `json:"link,omitempty"`
	By   *int   `json:"by,omitempty"`
}

func (s *Session) auditLine(action, name, deviceID string, scopes []string) auditLine {
	return auditLine{
		Time: time.Now().UTC().Format(time.RFC3339Nano), Action: action, Name: name,
		DeviceID: deviceID, Scopes: scopes, Store: s.kind(), UID: os.Geteuid(),
	}
}

// kind is that of the store; the one that is out of reach is a database.
func (s *Session) kind() Kind {
	if s.store == nil {
		return SQLite
	}
	return s.store.kind()
}

// audit appends lines to bootstrap/audit.jsonl, which is never rewritten.
func (s *Session) audit(lines ...auditLine) error {
	if err := s.check(); err != nil {
		return err
	}
	var out bytes.Buffer
	for _, line := range lines {
		out.Write(marshal(line))
		out.WriteByte('\n')
	}
	return appendAudit(s.options.StateDir, out.Bytes())
}

// Audit appends one record of another room's to the same file. record marshals
// to a JSON object that says time, action and deviceId, and holds no secret.
func Audit(stateDir string, record any) error {
	line, err := json.Marshal(record)
	if err != nil {
		return err
	}
	return appendAudit(stateDir, append(line, '\n'))
}

func appendAudit(stateDir string, lines []byte) error {
	path := filepath.Join(Dir(stateDir), "audit.jsonl")
	return Unusable(path, atomicfile.Append(path, lines))
}
