package protocol

import (
	"cmp"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"
)

// Refusal is the gateway saying no to a connect request, by a response, by a
// close frame, or by both. Its texts are the peer's, made safe to print.
type Refusal struct {
	Kind RefusalKind `json:"kind"`
	// Code, Message and the fields of details; all empty where the gateway
	// closed without a response. Releases up to 2026.2.17 send no DetailCode
	// and no Reason.
	Code       string `json:"code,omitempty"`
	DetailCode string `json:"detailCode,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Message    string `json:"message,omitempty"`
	// RequestID names the pending pairing request; safe to put into a command.
	RequestID           string   `json:"requestId,omitempty"`
	CloseCode           int      `json:"closeCode,omitempty"`
	CloseReason         string   `json:"closeReason,omitempty"`
	Retryable           bool     `json:"retryable,omitempty"`
	RetryAfterMs        int64    `json:"retryAfterMs,omitempty"`
	RecommendedNextStep string   `json:"recommendedNextStep,omitempty"`
	ApprovedRoles       []string `json:"approvedRoles,omitempty"`
	ApprovedScopes      []string `json:"approvedScopes,omitempty"`
	RequestedScopes     []string `json:"requestedScopes,omitempty"`
	ExpectedProtocol    int      `json:"expectedProtocol,omitempty"`
	// ClockOffset is the gateway's clock minus ours when its challenge came;
	// zero where there was none.
	ClockOffset time.Duration `json:"-"`
}

// maxRetryAfter bounds what a peer may ask us to wait.
const maxRetryAfter = time.Hour

// requestIDPattern is the gateway's own (PAIRING_CONNECT_REQUEST_ID_PATTERN).
var requestIDPattern = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._:-]{0,127}$`)
})

// IsRequestID tells whether a text has the form of a pairing requestId, and so
// is safe to put into a command.
func IsRequestID(text string) bool { return requestIDPattern().MatchString(text) }

// closeRequestID finds a requestId that the 120 bytes of a close reason did
// not cut: it is still followed by its bracket.
var closeRequestID = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`\(requestId: ([A-Za-z0-9][A-Za-z0-9._:-]{0,127})\)$`)
})

// NewRefusal reads the error of a response to a connect request (nil where there was
// none) and the close frame (nil where none came).
func NewRefusal(wireError json.RawMessage, closed *CloseError) *Refusal {
	r := &Refusal{}
	r.readError(wireError)
	if closed != nil {
		r.CloseCode, r.CloseReason = closed.Code, closed.Reason
	}
	if r.RequestID == "" {
		if found := closeRequestID().FindStringSubmatch(r.CloseReason); found != nil {
			r.RequestID = found[1]
		}
	}
	r.Kind = r.classify()
	return r
}

// readError takes field by field: one of an unexpected type must not hide the
// others.
func (r *Refusal) readError(wireError json.RawMessage) {
	fields := object(wireError)
	r.Code = Text(fields["code"])
	r.Message = Text(fields["message"])
	r.RetryAfterMs = milliseconds(fields["retryAfterMs"])
	details := object(fields["details"])
	r.Retryable = Flag(fields["retryable"]) || Flag(details["retryable"])
	r.DetailCode = Text(details["code"])
	r.Reason = Text(details["reason"])
	r.RecommendedNextStep = Text(details["recommendedNextStep"])
	r.ApprovedRoles = texts(details["approvedRoles"])
	r.ApprovedScopes = texts(details["approvedScopes"])
	r.RequestedScopes = texts(details["requestedScopes"])
	r.ExpectedProtocol = int(number(details["expectedProtocol"], 1000))
	if id := Text(details["requestId"]); requestIDPattern().MatchString(id) {
		r.RequestID = id
	}
}

func (r *Refusal) Error() string {
	switch {
	case r.Message != "" && r.DetailCode != "":
		return fmt.Sprintf("gateway refused: %s (%s)", r.Message, r.DetailCode)
	case r.Said() != "":
		return "gateway refused: " + r.Said()
	}
	return fmt.Sprintf("gateway closed the connection without a word (%d)", r.CloseCode)
}

// Said is the gateway's own reason: its message, else its close reason.
func (r *Refusal) Said() string { return cmp.Or(r.Message, r.CloseReason) }

// SignatureRejected tells whether the signature itself was at fault: releases
// before 2026.2.26 say so about [SignatureV3].
func (r *Refusal) SignatureRejected() bool {
	return r.DetailCode == "DEVICE_AUTH_SIGNATURE_INVALID" || r.Reason == "device-signature" ||
		strings.HasPrefix(r.Said(), "device signature invalid")
}

func object(raw json.RawMessage) map[string]json.RawMessage {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

// Text is a string of a peer's, made fit to print; empty where it is none.
func Text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return Clean(s)
}

func texts(raw json.RawMessage) []string {
	var list []string
	if json.Unmarshal(raw, &list) != nil {
		return nil
	}
	return cleanAll(list)
}

// Flag is a boolean; false where it is none.
func Flag(raw json.RawMessage) bool {
	var b bool
	return json.Unmarshal(raw, &b) == nil && b
}

// number reads a JSON number between 0 and most; anything else is 0.
func number(raw json.RawMessage, most float64) float64 {
	var n float64
	if json.Unmarshal(raw, &n) != nil || n < 0 {
		return 0
	}
	return min(n, most)
}

func milliseconds(raw json.RawMessage) int64 {
	return int64(number(raw, float64(maxRetryAfter.Milliseconds())))
}

// maxText in bytes is more than any gateway message seen, and little enough
// for one line.
const maxText = 600

// Clean makes text from a gateway fit for a terminal and a log line: no control
// or formatting characters, no invalid UTF-8, one line, bounded. What is cleaned
// is for people: it is no longer fit to be compared.
func Clean(text string) string {
	if len(text) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// CleanAll does so with each of a list, as of scopes.
func CleanAll(list []string) []string {
	out := []string{}
	for _, text := range list {
		out = append(out, Clean(text))
	}
	return out
}

// cleanAll bounds the list, too.
func cleanAll(list []string) []string {
	const most = 64
	return CleanAll(list[:min(len(list), most)])
}
