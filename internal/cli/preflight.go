package cli

import "github.com/reflectt/bootstrap/internal/probe"

// preflight is one result of a check, as reflectt-node's preflight lists them
// (src/preflight.ts at 15c50d5); its own check of this name runs on macOS only. The
// form is a contract: testdata/preflight.schema.json.
type preflight struct {
	Check  preflightCheck `json:"check"`
	Passed bool           `json:"passed"`
	// Level is pass, warn, or fail: what will not pass by waiting.
	Level   string `json:"level"`
	Message string `json:"message"`
	// Recovery are the next commands, one a line; absent where it passed.
	Recovery   []string         `json:"recovery,omitempty"`
	Details    preflightDetails `json:"details"`
	DurationMs int64            `json:"durationMs"`
}

type preflightCheck struct {
	ID          string `json:"id"`
	Name        string `json:"name"`
	Description string `json:"description"`
	// Category is version, network, auth, system or apple.
	Category string `json:"category"`
}

type preflightDetails struct {
	URL       string   `json:"url"`
	Outcome   string   `json:"outcome"`
	ExitCode  Code     `json:"exitCode"`
	DeviceID  string   `json:"deviceId,omitempty"`
	Release   string   `json:"release,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	RequestID string   `json:"requestId,omitempty"`
}

func newPreflight(v probe.Verdict) preflight {
	out := preflight{
		Check: preflightCheck{
			ID: "openclaw-gateway", Name: "OpenClaw Gateway",
			Description: "The gateway answers and lets this device in", Category: "system",
		},
		Passed: v.OK, Level: "fail", Message: v.Message, DurationMs: v.ElapsedMs,
		Details: preflightDetails{
			URL: v.URL, Outcome: v.Outcome.String(), ExitCode: verdictCode(v.Outcome), DeviceID: v.DeviceID,
			Release: v.Server, Scopes: v.Scopes, RequestID: v.RequestID,
		},
	}
	switch v.Outcome {
	case probe.OK:
		out.Level = "pass"
	case probe.Unreachable, probe.StillStarting, probe.RateLimited, probe.NotProvable:
		out.Level = "warn"
	}
	if v.OK {
		out.Message = "the gateway lets this device in"
	} else {
		out.Recovery = v.Hints
	}
	return out
}
