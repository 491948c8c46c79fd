package bridge

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

func TestFirstFrameIsRefused(t *testing.T) {
	params := `{"minProtocol":3,"maxProtocol":3,"client":{}}`
	for name, frame := range map[string]string{
		"that is empty":                           ``,
		"that is no JSON":                         `hello`,
		"that is a list":                          `[]`,
		"that is null":                            `null`,
		"that is two requests":                    reflecttConnect + reflecttConnect,
		"that is two requests on two lines":       reflecttConnect + "\n" + reflecttConnect,
		"with another method":                     `{"type":"req","id":"1","method":"models.list","params":` + params + `}`,
		"with a method in other case":             `{"type":"req","id":"1","method":"Connect","params":` + params + `}`,
		"of another type":                         `{"type":"res","id":"1","method":"connect","params":` + params + `}`,
		"without an id":                           `{"type":"req","method":"connect","params":` + params + `}`,
		"whose id is a number":                    `{"type":"req","id":1,"method":"connect","params":` + params + `}`,
		"whose id is huge":                        `{"type":"req","id":"` + strings.Repeat("1", 300) + `","method":"connect","params":` + params + `}`,
		"with a field that no request has":        `{"type":"req","id":"1","method":"connect","ok":true,"params":` + params + `}`,
		"with two methods":                        `{"type":"req","id":"1","method":"connect","method":"connect","params":` + params + `}`,
		"with two methods, one written escaped":   `{"type":"req","id":"1","method":"connect","meth\u006fd":"x","params":` + params + `}`,
		"with two devices":                        `{"type":"req","id":"1","method":"connect","params":{"minProtocol":3,"maxProtocol":3,"client":{},"device":null,"device":{}}}`,
		"with a key twice deep inside":            `{"type":"req","id":"1","method":"connect","params":{"minProtocol":3,"maxProtocol":3,"client":{"a":[{"b":1,"b":2}]}}}`,
		"without params":                          `{"type":"req","id":"1","method":"connect"}`,
		"whose params are null":                   `{"type":"req","id":"1","method":"connect","params":null}`,
		"without a protocol":                      `{"type":"req","id":"1","method":"connect","params":{"client":{}}}`,
		"without a client":                        `{"type":"req","id":"1","method":"connect","params":{"minProtocol":3,"maxProtocol":3}}`,
		"that asks for another role":              `{"type":"req","id":"1","method":"connect","params":{"role":"node","minProtocol":3,"maxProtocol":3,"client":{}}}`,
		"whose scopes are a text":                 `{"type":"req","id":"1","method":"connect","params":{"scopes":"operator.read","minProtocol":3,"maxProtocol":3,"client":{}}}`,
		"whose auth is a text":                    `{"type":"req","id":"1","method":"connect","params":{"auth":"x","minProtocol":3,"maxProtocol":3,"client":{}}}`,
		"that is nested too deeply":               `{"type":"req","id":"1","method":"connect","params":{"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`,
		"that is no UTF-8":                        "{\"type\":\"req\",\"id\":\"\xff\",\"method\":\"connect\",\"params\":" + params + "}",
		"with something behind its closing brace": `{"type":"req","id":"1","method":"connect","params":` + params + `}x`,
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := parseRequest([]byte(frame)); err == nil {
				t.Error("it was taken")
			}
		})
	}
}

func TestGrantIsNeverMoreThanTheBundleHas(t *testing.T) {
	readWrite := []string{"operator.read", "operator.write"}
	for name, c := range map[string]struct {
		asked            []string
		given            bool
		granted, dropped []string
	}{
		"what is asked and held is granted, in the order asked":   {[]string{"operator.write", "operator.read"}, true, []string{"operator.write", "operator.read"}, nil},
		"what is not held is dropped":                             {[]string{"operator.read", "operator.pairing"}, true, []string{"operator.read"}, []string{"operator.pairing"}},
		"admin that is not held means all that is":                {[]string{"operator.admin"}, true, readWrite, []string{"operator.admin"}},
		"what is asked twice is granted once":                     {[]string{"operator.read", "operator.read"}, true, []string{"operator.read"}, nil},
		"nothing asked for is nothing granted":                    {[]string{}, true, []string{}, nil},
		"who names no scopes gets the bundle's":                   {nil, false, readWrite, nil},
		"a scope that hides a separator of the signature is none": {[]string{"operator.read,operator.admin", "operator.read|x"}, true, []string{}, []string{"operator.read,operator.admin", "operator.read|x"}},
	} {
		t.Run(name, func(t *testing.T) {
			granted, dropped := grant(request{scopes: c.asked, scopesGiven: c.given}, readWrite)
			if !slices.Equal(granted, c.granted) || !slices.Equal(dropped, c.dropped) {
				t.Errorf("granted %v, dropped %v", granted, dropped)
			}
		})
	}
}

func testClient(t testing.TB) client {
	t.Helper()
	id, err := identity.FromSeed(make([]byte, 32), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return client{
		name: "agent-1", identity: id, token: deviceToken, scopes: []string{"operator.read"},
		platform: "linux", id: "cli", mode: "cli",
	}
}

// FuzzFirstFrame: no panic, and whatever is taken leaves as one connect
// request of the bundle's device, with its token and no scope beyond its own.
func FuzzFirstFrame(f *testing.F) {
	for _, text := range []string{
		reflecttConnect, reflecttConnect + reflecttConnect, `{}`, `[[[[`, `{"type":"req","id":"\ud800","method":"connect","params":{}}`,
		`{"type":"req","id":"1","method":"connect","params":{"Device":{},"minProtocol":3,"maxProtocol":4,"client":{"id":"x","ID":"y"}}}`,
		`{"type":"req","id":"1","method":"connect","params":{"device":{"id":"x"},"minProtocol":3,"maxProtocol":4,"client":{}}}`,
		`{"type":"req","id":"1","method":"connect","params":{"__proto__":{"device":{}},"minProtocol":-1,"maxProtocol":1e2,"client":{}}}`,
		`{"type":"req","id":"1","method":"connect","params":{"scopes":["operator.admin",""],"auth":{"password":"x"},"minProtocol":1,"maxProtocol":1,"client":{}}}`,
	} {
		f.Add([]byte(text))
	}
	c := testClient(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		asked, err := parseRequest(data)
		if err != nil || asked.ownDevice {
			return
		}
		scopes, _ := grant(asked, c.scopes)
		frame := asked.signed(c, scopes, nonce, protocol.SignatureV3)
		// The strict reader takes its own work: one value, no key twice.
		again, err := parseRequest(frame)
		if err != nil || !again.ownDevice || again.id != asked.id {
			t.Fatalf("%s was written as %s: %v", data, frame, err)
		}
		// Maps, because they tell Role from role, as the gateway does.
		var sent, params, device map[string]json.RawMessage
		var auth map[string]string
		var granted []string
		for _, part := range []struct {
			raw  []byte
			into any
		}{{frame, &sent}, {again.params["device"], &device}, {again.params["auth"], &auth}, {again.params["scopes"], &granted}} {
			if err := json.Unmarshal(part.raw, part.into); err != nil {
				t.Fatal(err)
			}
		}
		params = again.params
		if text(sent["method"]) != "connect" || text(params["role"]) != "operator" || len(auth) != 1 ||
			auth["token"] != deviceToken || text(device["id"]) != c.identity.DeviceID() {
			t.Fatalf("%s was written as %s", data, frame)
		}
		for _, scope := range granted {
			if scope != "operator.read" {
				t.Fatalf("the scope %q was granted", scope)
			}
		}
	})
}

// FuzzHello: no panic, and no token in what the client is shown.
func FuzzHello(f *testing.F) {
	f.Add(helloTo(map[string]any{"id": "c1"}))
	f.Add([]byte(`{"type":"res","id":"c1","ok":true,"payload":{"auth":null}}`))
	f.Add([]byte(`{"type":"res","id":"c1","ok":true,"payload":{"snapshot":"` + deviceToken + `"}}`))
	c := testClient(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		said, ok := parseAnswer(data, "c1")
		if !ok || !said.ok {
			return
		}
		out, err := said.forClient(request{id: "c1", least: 3, most: 3}, c)
		if err == nil && strings.Contains(string(out), deviceToken) {
			t.Fatalf("shown: %s", out)
		}
	})
}
