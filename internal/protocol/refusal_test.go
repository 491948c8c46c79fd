package protocol

import (
	"bufio"
	"encoding/json"
	"os"
	"testing"
)

// recorded is one refusal as a real gateway sent it; testdata/README.md.
type recorded struct {
	Release string          `json:"release"`
	Case    string          `json:"case"`
	Error   json.RawMessage `json:"error"`
	Close   struct {
		Code   int    `json:"code"`
		Reason string `json:"reason"`
	} `json:"close"`
	Kind RefusalKind `json:"kind"`
}

func recordings(t testing.TB) []recorded {
	t.Helper()
	file, err := os.Open("testdata/refusals.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var all []recorded
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		var r recorded
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) < 100 {
		t.Fatalf("only %d recordings", len(all))
	}
	return all
}

func (r recorded) refusal() *Refusal {
	return NewRefusal(r.Error, &CloseError{Code: r.Close.Code, Reason: r.Close.Reason})
}

func TestEveryRecordedRefusalIsUnderstood(t *testing.T) {
	for _, r := range recordings(t) {
		t.Run(r.Release+" "+r.Case, func(t *testing.T) {
			if got := r.refusal().Kind; got != r.Kind {
				t.Errorf("kind is %s, want %s", got, r.Kind)
			}
		})
	}
}

func TestRefusalIsUnderstoodWithoutItsCloseFrame(t *testing.T) {
	for _, r := range recordings(t) {
		if len(r.Error) == 0 || string(r.Error) == "null" {
			continue
		}
		if got := NewRefusal(r.Error, nil).Kind; got != r.Kind {
			t.Errorf("%s %s: kind is %s, want %s", r.Release, r.Case, got, r.Kind)
		}
	}
}

func TestRefusalIsUnderstoodFromItsTextAlone(t *testing.T) {
	for _, r := range recordings(t) {
		full := r.refusal()
		if full.Message == "" || full.Reason != "" && full.Kind != DeviceAuth {
			continue // older releases tell upgrades apart by the reason only
		}
		textOnly := &Refusal{Message: full.Message, Code: full.Code}
		if got := textOnly.classify(); got != r.Kind {
			t.Errorf("%s %s: kind is %s, want %s", r.Release, r.Case, got, r.Kind)
		}
	}
}

func TestPairingRefusalNamesItsRequest(t *testing.T) {
	const id = "88df06b4-f975-42f8-9b88-f3b31bbe3d4e"
	for name, test := range map[string]struct{ error, reason, want string }{
		"from details":                      {`{"details":{"requestId":"` + id + `"}}`, "", id},
		"from a whole close reason":         {"", "pairing required: device is not approved yet (requestId: " + id + ")", id},
		"not from a close reason cut short": {"", "pairing required: device is asking for more scopes than currently approved (requestId: 1729ed94-d416-4286-88d9-d9dd534c7", ""},
		"not where it could be a command":   {`{"details":{"requestId":"x; rm -rf /"}}`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got := NewRefusal(json.RawMessage(test.error), &CloseError{Code: 1008, Reason: test.reason})
			if got.RequestID != test.want {
				t.Errorf("requestId is %q, want %q", got.RequestID, test.want)
			}
		})
	}
}

func TestOneOddFieldDoesNotHideTheOthers(t *testing.T) {
	r := NewRefusal(json.RawMessage(`{"code":7,"message":"protocol mismatch","retryAfterMs":-1,"details":{"expectedProtocol":"4","approvedScopes":"all","requestId":5,"code":"PROTOCOL_MISMATCH"}}`), nil)
	if r.Kind != Protocol || r.Message != "protocol mismatch" || r.RetryAfterMs != 0 || r.ExpectedProtocol != 0 || r.RequestID != "" {
		t.Errorf("got %+v", r)
	}
}

func TestRefusalTextIsFitForATerminal(t *testing.T) {
	r := NewRefusal(json.RawMessage(`{"message":"evil\u001b[31m\r\ntext\u202e"}`), nil)
	if r.Message != "evil[31m  text" {
		t.Errorf("message is %q", r.Message)
	}
}

func FuzzRefusal(f *testing.F) {
	for _, r := range recordings(f) {
		f.Add([]byte(r.Error), r.Close.Code, r.Close.Reason)
	}
	f.Add([]byte(`{"details":[]}`), 1000, "")
	f.Add([]byte(`{"message":"`+"\xff"+`"}`), -1, "\x00")
	f.Fuzz(func(t *testing.T, wire []byte, code int, reason string) {
		r := NewRefusal(wire, &CloseError{Code: code, Reason: Clean(reason)})
		if r.Kind == "" {
			t.Fatal("no kind")
		}
		if r.RequestID != "" && !requestIDPattern().MatchString(r.RequestID) {
			t.Fatalf("requestId %q", r.RequestID)
		}
		if r.RetryAfterMs < 0 || r.RetryAfterMs > maxRetryAfter.Milliseconds() {
			t.Fatalf("retryAfterMs %d", r.RetryAfterMs)
		}
		for _, s := range []string{r.Error(), r.Reason, r.DetailCode} {
			if Clean(s) != s && len(s) <= maxText {
				t.Fatalf("unclean text %q", s)
			}
		}
		if _, err := json.Marshal(r); err != nil {
			t.Fatal(err)
		}
	})
}

func TestABridgeThatRefusesIsToldFromAGateway(t *testing.T) {
	for code, want := range map[string]RefusalKind{"INVALID_REQUEST": Bridge, "UNAVAILABLE": Starting} {
		raw := json.RawMessage(`{"code":"` + code + `","message":"bridge: no","details":{"code":"BRIDGE_REFUSED"}}`)
		if got := NewRefusal(raw, &CloseError{Code: 1008, Reason: "bridge: no"}); got.Kind != want {
			t.Errorf("%s is %s, not %s", code, got.Kind, want)
		}
	}
}
