package approve

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// tokenClient is connected to a gateway that answers every call alike.
func tokenClient(t *testing.T, payload string) (*protocol.Client, *fake) {
	t.Helper()
	f := (&fake{
		connect: func(c connectParams) ([]string, string, string) { return c.Scopes, "", "" },
		call:    func(string, map[string]string) (string, string) { return payload, "" },
	}).start(t)
	caller, err := Open(t.Context(), f.gateway())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(caller.Close)
	return caller.Client, f
}

func TestTheAnswerToARotationIsRead(t *testing.T) {
	client, f := tokenClient(t, `{"deviceId":"d","role":"operator","token":"`+deviceSecret+`","scopes":["operator.read"],"rotatedAtMs":1795362805122}`)
	got, err := RotateToken(t.Context(), client, "d", "operator")
	if err != nil || got.Token != deviceSecret || len(got.Scopes) != 1 || !got.At.Equal(time.UnixMilli(1795362805122)) {
		t.Errorf("got %+v, %v", got, err)
	}
	if saw := f.saw(); saw[len(saw)-1] != "device.token.rotate d" {
		t.Errorf("asked for %v", saw)
	}
}

func TestAnAnswerAboutAnotherDeviceOrRoleIsNone(t *testing.T) {
	for name, payload := range map[string]string{
		"another device": `{"deviceId":"e","role":"operator","token":"` + deviceSecret + `"}`,
		"another role":   `{"deviceId":"d","role":"node","token":"` + deviceSecret + `"}`,
		"no object":      `"` + deviceSecret + `"`,
		"a wrong type":   `{"deviceId":"d","role":["operator"],"token":"` + deviceSecret + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := tokenClient(t, payload)
			if _, err := RotateToken(t.Context(), client, "d", "operator"); err == nil || strings.Contains(err.Error(), deviceSecret) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzRotationAnswer(f *testing.F) {
	f.Add([]byte(`{"deviceId":"d","role":"operator","token":"t","scopes":["a"],"rotatedAtMs":1}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := readRotation(json.RawMessage(payload), "d", "operator")
		if err == nil && got.Role != "operator" {
			t.Errorf("%s was taken", payload)
		}
	})
}
