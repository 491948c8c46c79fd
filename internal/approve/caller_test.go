package approve

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/reflectt/bootstrap/internal/protocol"
)

const missingScope = `{"code":"INVALID_REQUEST","message":"missing scope: operator.pairing"}`

func TestSecretIsShownToLoopbackOnly(t *testing.T) {
	for _, url := range []string{"ws://192.0.2.2:18789", "wss://gateway.example", "ws://127.0.0.1.example", "ws://", "ws://x:" + gatewaySecret + "@%zz"} {
		_, err := Open(context.Background(), Gateway{URL: url, Token: gatewaySecret})
		if err == nil || strings.Contains(err.Error(), gatewaySecret) || !strings.HasPrefix(err.Error(), "cannot pair over loopback") {
			t.Errorf("%s gives %v", url, err)
		}
	}
	if _, err := Open(context.Background(), Gateway{URL: "ws://[::1]:1"}); err == nil || !strings.Contains(err.Error(), "no gateway token") {
		t.Errorf("without a secret: %v", err)
	}
}

// asked is what a gateway was asked, without tokens and ids.
func asked(f *fake) []string {
	var out []string
	for _, line := range f.saw() {
		words := strings.Fields(line)
		if words[0] == "connect" {
			out = append(out, "connect "+words[1])
		} else {
			out = append(out, words[0])
		}
	}
	return out
}

func TestCallerSignsOnlyWhereScopesAreWithheldAndTidiesUp(t *testing.T) {
	empty := func(connectParams) ([]string, string, string) { return nil, "", "" }
	full := func(c connectParams) ([]string, string, string) { return c.Scopes, "", "" }
	for name, test := range map[string]struct {
		connect func(connectParams) ([]string, string, string)
		refuse  bool // calls by who came without a device
		want    []string
	}{
		"scopes are kept":                          {full, false, []string{"connect gateway-client"}},
		"a token for no device is no device's":     {func(c connectParams) ([]string, string, string) { return c.Scopes, deviceSecret, "" }, false, []string{"connect gateway-client"}},
		"hello does not tell, but calls are taken": {empty, false, []string{"connect gateway-client", "device.pair.list"}},
		"scopes are withheld without a device":     {empty, true, []string{"connect gateway-client", "device.pair.list", "connect gateway-client", "device.pair.list"}},
		"a device is wanted, and then not stored":  {wantsDevice(""), false, []string{"connect gateway-client", "connect gateway-client"}},
		"a device is wanted, and then paired":      {wantsDevice(deviceSecret), false, []string{"connect gateway-client", "connect gateway-client", "device.pair.remove"}},
	} {
		t.Run(name, func(t *testing.T) {
			device := false
			f := &fake{
				connect: func(c connectParams) ([]string, string, string) {
					device = c.Device != nil
					return test.connect(c)
				},
				call: func(string, map[string]string) (string, string) {
					if test.refuse && !device {
						return "", missingScope
					}
					return `{"pending":[],"paired":[]}`, ""
				},
			}
			caller, err := Open(context.Background(), f.start(t).gateway())
			if err != nil {
				t.Fatal(err)
			}
			caller.Close()
			if got := asked(f); !slices.Equal(got, test.want) {
				t.Errorf("it asked %q, want %q", got, test.want)
			}
		})
	}
}

// wantsDevice refuses a connect without one.
func wantsDevice(token string) func(connectParams) ([]string, string, string) {
	return func(c connectParams) ([]string, string, string) {
		if c.Device == nil {
			return nil, "", `{"code":"NOT_PAIRED","message":"device identity required","details":{"code":"DEVICE_IDENTITY_REQUIRED"}}`
		}
		return c.Scopes, token, ""
	}
}

func TestCallerIsNotOpenedTwiceAfterAWrongToken(t *testing.T) {
	f := (&fake{connect: func(connectParams) ([]string, string, string) { return nil, "", unauthorized }}).start(t)
	_, err := Open(context.Background(), f.gateway())
	var refusal *protocol.Refusal
	if !errors.As(err, &refusal) || refusal.Kind != protocol.AuthToken || len(f.saw()) != 1 {
		t.Errorf("after %q: %v", f.saw(), err)
	}
}

func TestAnswerThatDoesNotFitTheApprovalIsAnError(t *testing.T) {
	for name, test := range map[string]struct {
		payload, refusal string
		ok               bool
	}{
		"the request and its device": {`{"requestId":"` + requestID + `","device":{"deviceId":"d","publicKey":"k"}}`, "", true},
		"another request":            {`{"requestId":"x","device":{"deviceId":"d"}}`, "", false},
		"no device":                  {`{"requestId":"` + requestID + `"}`, "", false},
		"something else":             {`[]`, "", false},
		"a refusal":                  {"", missingScope, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &fake{
				connect: func(c connectParams) ([]string, string, string) { return c.Scopes, "", "" },
				call:    func(string, map[string]string) (string, string) { return test.payload, test.refusal },
			}
			caller, err := Open(context.Background(), f.start(t).gateway())
			if err != nil {
				t.Fatal(err)
			}
			defer caller.Close()
			device, err := Approve(context.Background(), caller.Client, requestID)
			if (err == nil) != test.ok || test.ok && device.DeviceID != "d" {
				t.Errorf("got %+v, %v", device, err)
			}
		})
	}
}

func TestTextThatIsNoRequestIDIsNeverSent(t *testing.T) {
	for _, id := range []string{"", "a b", "--latest", strings.Repeat("a", 200)} {
		if _, err := Approve(context.Background(), nil, id); err == nil {
			t.Errorf("%q was sent", id)
		}
		if err := Reject(context.Background(), nil, id); err == nil {
			t.Errorf("%q was sent", id)
		}
	}
}
