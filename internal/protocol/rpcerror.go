package protocol

import (
	"encoding/json"
	"fmt"
	"strings"
)

// RPCError is the gateway saying no to a call. Its texts are the peer's, made
// safe to print.
type RPCError struct {
	Method string
	// Code is coarse: INVALID_REQUEST covers an unknown method, a missing scope
	// and an unknown id alike.
	Code    string
	Message string
}

// newRPCError takes field by field: one of an unexpected type must not hide
// the others.
func newRPCError(method string, wireError json.RawMessage) *RPCError {
	fields := object(wireError)
	return &RPCError{Method: method, Code: Text(fields["code"]), Message: Text(fields["message"])}
}

func (e *RPCError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("gateway refused %s without a reason (%s)", e.Method, e.Code)
	}
	return fmt.Sprintf("gateway refused %s: %s", e.Method, e.Message)
}

// MissingScope is the scope that the connection lacks for the call; empty where
// the refusal is about something else.
func (e *RPCError) MissingScope() string {
	scope, found := strings.CutPrefix(e.Message, "missing scope: ")
	if !found {
		return ""
	}
	scope, _, _ = strings.Cut(scope, " ")
	return scope
}
