package cli

import "github.com/reflectt/bootstrap/internal/probe"

// preflight is one check as reflectt-node lists them; its own openclaw-gateway
// check runs on macOS only. The form is a contract.
type preflight struct {
	ID     string `json:"id"`
	Passed bool   `json:"passed"`
	// Level is info, warning, or error: what will not mend itself.
	Level    string           `json:"level"`
	Message  string           `json:"message"`
	Recovery []string         `json:"recovery"`
	Details  preflightDetails `json:"details"`
}

type preflightDetails struct {
	URL       string   `json:"url"`
	Outcome   string   `json:"outcome"`
	ExitCode  Code     `json:"exitCode"`
	DeviceID  string   `json:"deviceId,omitempty"`
	Release   string   `json:"release,omitempty"`
	Scopes    []string `json:"scopes,omitempty"`
	RequestID string   `json:"requestId,omitempty"`
	ElapsedMs int64    `json:"elapsedMs"`
}

func newPreflight(v probe.Verdict) preflight {
	out := preflight{
		ID: "openclaw-gateway", Passed: v.OK, Level: "error", Message: v.Message, Recovery: append([]string{}, v.Hints...),
		Details: preflightDetails{
			URL: v.URL, Outcome: v.Outcome.String(), ExitCode: verdictCode(v.Outcome), DeviceID: v.DeviceID,
			Release: v.Server, Scopes: v.Scopes, RequestID: v.RequestID, ElapsedMs: v.ElapsedMs,
		},
	}
	switch v.Outcome {
	case probe.OK:
		out.Level = "info"
	case probe.Unreachable, probe.StillStarting, probe.RateLimited, probe.NotProvable:
		out.Level = "warning"
	}
	if v.OK {
		out.Message = "the gateway lets this device in"
	}
	return out
}
