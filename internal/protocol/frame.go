package protocol

import (
	"encoding/json"
	"errors"
	"fmt"
)

// Frame types.
const (
	TypeRequest  = "req"
	TypeResponse = "res"
	TypeEvent    = "event"
)

// Frame is one message in either direction. Payload and Error are kept as they
// came, unknown fields included.
type Frame struct {
	Type string `json:"type"`
	// ID joins a response to its request.
	ID     string `json:"id,omitempty"`
	Method string `json:"method,omitempty"`
	Event  string `json:"event,omitempty"`
	OK     bool   `json:"ok,omitempty"`
	// Params belong to requests, Payload to responses and events, Error to
	// responses that are not OK.
	Params  json.RawMessage `json:"params,omitempty"`
	Payload json.RawMessage `json:"payload,omitempty"`
	Error   json.RawMessage `json:"error,omitempty"`
}

// ParseFrame reads one message from the gateway.
func ParseFrame(data []byte) (Frame, error) {
	var f Frame
	if err := json.Unmarshal(data, &f); err != nil {
		return Frame{}, fmt.Errorf("cannot read frame: %w", err)
	}
	if f.Type == "" {
		return Frame{}, errors.New("cannot read frame: it has no type")
	}
	return f, nil
}
