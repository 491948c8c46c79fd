// Package bridge owns the relay that lets clients in which cannot sign: it
// speaks for each of them as the device whose bundle the client was given. It
// replaces the first connect request of a connection, takes the device token
// out of the answer, and passes everything else on as it came.
//
// It grants no scope that the bundle has not, shows no client a token, keeps
// one connection to the gateway for each client's, and never retries a refusal
// for authentication. It must not seed, approve, log, or listen beyond this
// machine without a token that clients have to show.
package bridge
