// Package protocol owns the wire: a WebSocket to an OpenClaw gateway, the
// frames on it, the connect handshake, calls and events after it ([Client]),
// and what the gateway says when it refuses, as typed errors ([Refusal],
// [RPCError]) told apart from a connection that did not come about
// ([TransportError]).
//
// It makes one attempt and reports it. It never retries, never decides what a
// refusal means to a person, and never puts a token into an error.
package protocol

// MinProtocol and MaxProtocol are the versions offered by default. Releases up
// to 2026.5.7 speak 3, from 2026.5.18 on 4; every one accepts the range 3..4.
const (
	MinProtocol = 3
	MaxProtocol = 4
)
