// Package health owns how this program answers HTTP: the limits of its servers,
// and /livez and /readyz for an orchestrator. It decides nothing about readiness,
// reads no store, and logs nothing.
package health
