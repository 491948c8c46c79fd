package approve

import (
	"strings"
	"testing"

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
	if err := RotateToken(t.Context(), client, "d"); err != nil {
		t.Error(err)
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
		"nothing":        `null`,
	} {
		t.Run(name, func(t *testing.T) {
			client, _ := tokenClient(t, payload)
			if err := RotateToken(t.Context(), client, "d"); err == nil || strings.Contains(err.Error(), deviceSecret) {
				t.Errorf("got %v", err)
			}
		})
	}
}
