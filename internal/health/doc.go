// Package health owns how this program tells an orchestrator how it is: the limits
// of its HTTP servers, /livez, /readyz and /metrics, and systemd's notifications. It
// decides nothing about readiness, counts nothing, reads no store, and logs nothing.
package health
