package protocol

import (
	"encoding/json"
	"testing"
)

func TestFrameWithoutTypeIsRefused(t *testing.T) {
	for _, data := range []string{"", "{", "[]", "null", `"x"`, "{}", `{"type":1}`, `{"ok":true}`} {
		if _, err := ParseFrame([]byte(data)); err == nil {
			t.Errorf("%q was accepted", data)
		}
	}
}

func TestFrameKeepsUnknownFieldsOfItsPayload(t *testing.T) {
	f, err := ParseFrame([]byte(`{"type":"event","event":"x","new":1,"payload":{"future":[1,2]}}`))
	if err != nil || string(f.Payload) != `{"future":[1,2]}` {
		t.Errorf("payload %s, error %v", f.Payload, err)
	}
}

func FuzzParseFrame(f *testing.F) {
	f.Add([]byte(`{"type":"event","event":"connect.challenge","payload":{"nonce":"n","ts":1795362805122}}`))
	f.Add([]byte(`{"type":"res","id":"connect","ok":true,"payload":{"type":"hello-ok","protocol":4,"snapshot":{"authMode":"token"}}}`))
	f.Add([]byte(`{"type":"res","id":"connect","ok":false,"error":{"code":"X"}}`))
	f.Add([]byte(`{"type":"res","payload":null}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		frame, err := ParseFrame(data)
		if err != nil {
			return
		}
		if _, err := json.Marshal(frame); err != nil {
			t.Fatalf("cannot be written again: %v", err)
		}
		hello, err := parseHello(frame.Payload)
		if err == nil {
			_ = hello.AuthMode()
			_ = hello.SessionScopes([]string{"operator.read"})
		}
	})
}

func TestSessionHasNoMoreScopesThanItAskedFor(t *testing.T) {
	for name, test := range map[string]struct{ token, asked, want string }{
		"a wide token asked for little":         {`["operator.admin","operator.read"]`, `["operator.read"]`, `["operator.read"]`},
		"admin covers every operator scope":     {`["operator.admin"]`, `["operator.write","operator.read"]`, `["operator.write","operator.read"]`},
		"write covers read":                     {`["operator.write"]`, `["operator.read"]`, `["operator.read"]`},
		"an operator without a device has none": {`[]`, `["operator.read"]`, `[]`},
		"admin covers nothing else":             {`["operator.admin"]`, `["node.x"]`, `[]`},
	} {
		t.Run(name, func(t *testing.T) {
			hello, err := parseHello([]byte(`{"type":"hello-ok","auth":{"scopes":` + test.token + `}}`))
			if err != nil {
				t.Fatal(err)
			}
			var asked []string
			if err := json.Unmarshal([]byte(test.asked), &asked); err != nil {
				t.Fatal(err)
			}
			got, _ := json.Marshal(hello.SessionScopes(asked))
			if string(got) != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}
