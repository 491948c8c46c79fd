package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"maps"
	"time"
	"unicode/utf8"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/protocol"
)

const (
	// maxRequest is what gateways from 2026.3.13 on take before a client is
	// let in, in bytes.
	maxRequest = 64 << 10
	maxID      = 256
	maxDepth   = 32
)

const roleOperator = "operator"

// request is a client's connect, read strictly: what two parsers could read
// in two ways is refused, so that the gateway never sees another request than
// the one that was judged here.
type request struct {
	id     string
	params map[string]json.RawMessage
	client map[string]json.RawMessage
	// least and most are the protocol versions that the client can read.
	least, most int
	scopes      []string
	// scopesGiven is false where the client names none at all.
	scopesGiven bool
	// token is auth.token: for a client without a device, the bridge's.
	token     string
	ownDevice bool
}

// parseRequest reads the first frame of a client. The request that comes with
// an error has the id, where that could be read.
func parseRequest(data []byte) (request, error) {
	if err := checkJSON(data); err != nil {
		return request{}, err
	}
	var frame map[string]json.RawMessage
	if json.Unmarshal(data, &frame) != nil || frame == nil {
		return request{}, errors.New("the first frame is no JSON object")
	}
	var r request
	if r.id = text(frame["id"]); r.id == "" || len(r.id) > maxID {
		return request{}, errors.New("the first frame has no id, or one of more than 256 bytes")
	}
	for key := range frame {
		if key != "type" && key != "id" && key != "method" && key != "params" {
			return r, errors.New("the first frame has a field that a request has not")
		}
	}
	if text(frame["type"]) != protocol.TypeRequest || text(frame["method"]) != "connect" {
		return r, errors.New("the first request has to be connect")
	}
	if json.Unmarshal(frame["params"], &r.params) != nil || r.params == nil {
		return r, errors.New("connect has no params")
	}
	return r, r.readParams()
}

func (r *request) readParams() error {
	device, given := r.params["device"]
	if r.ownDevice = given && string(device) != "null"; r.ownDevice {
		return nil // the gateway judges it, as it came
	}
	var auth map[string]json.RawMessage
	if raw, given := r.params["auth"]; given && json.Unmarshal(raw, &auth) != nil {
		return errors.New("connect's auth is no object")
	}
	r.token = text(auth["token"])
	if json.Unmarshal(r.params["minProtocol"], &r.least) != nil || json.Unmarshal(r.params["maxProtocol"], &r.most) != nil {
		return errors.New("connect names no minProtocol and maxProtocol")
	}
	if json.Unmarshal(r.params["client"], &r.client) != nil || r.client == nil {
		return errors.New("connect names no client")
	}
	if raw, given := r.params["role"]; given && text(raw) != roleOperator {
		return errors.New("the bridge serves the role operator only")
	}
	raw, given := r.params["scopes"]
	if r.scopesGiven = given; given && json.Unmarshal(raw, &r.scopes) != nil {
		return errors.New("connect's scopes are no list of names")
	}
	return nil
}

// checkJSON refuses what is not exactly one JSON value in UTF-8, keys that
// stand twice in an object, and depths that no request has.
func checkJSON(data []byte) error {
	if !utf8.Valid(data) || !json.Valid(data) {
		return errors.New("the first frame is no JSON")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	var keys []map[string]bool // one an open value; nil for a list
	key := false               // a key comes next in the innermost object
	for {
		token, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return errors.New("the first frame is no JSON")
		}
		inObject := len(keys) > 0 && keys[len(keys)-1] != nil
		switch token := token.(type) {
		case json.Delim:
			switch token {
			case '{':
				keys, key = append(keys, map[string]bool{}), true
			case '[':
				keys, key = append(keys, nil), false
			default:
				keys = keys[:len(keys)-1]
				key = len(keys) > 0 && keys[len(keys)-1] != nil
			}
			if len(keys) > maxDepth {
				return errors.New("the first frame is nested too deeply")
			}
			continue
		case string:
			if inObject && key {
				if keys[len(keys)-1][token] {
					return errors.New("the first frame has a key twice")
				}
				keys[len(keys)-1][token], key = true, false
				continue
			}
		}
		key = inObject
	}
}

// grant says what the client is let in with: of the scopes it asked for those
// that its bundle has. operator.admin implies all, as it does for gateways;
// who names no scopes at all means what the bundle has.
func grant(r request, has []string) (granted, dropped []string) {
	if !r.scopesGiven {
		return has, nil
	}
	held, seen := map[string]bool{}, map[string]bool{}
	for _, scope := range has {
		held[scope] = true
	}
	granted = []string{}
	add := func(scope string) {
		if !seen[scope] {
			seen[scope] = true
			granted = append(granted, scope)
		}
	}
	for _, scope := range r.scopes {
		switch {
		case held[scope]:
			add(scope)
		default:
			dropped = append(dropped, protocol.Clean(scope))
			if scope == "operator.admin" {
				for _, each := range has {
					add(each)
				}
			}
		}
	}
	return granted, dropped
}

// signed is the connect request in the name of a client's device.
func (r request) signed(c client, scopes []string, nonce string, signature protocol.Signature) []byte {
	device := protocol.SignDevice(c.identity, signature, identity.Claim{
		ClientID: c.id, ClientMode: c.mode, Role: roleOperator, Scopes: scopes,
		SignedAt: time.Now(), Token: c.token, Nonce: nonce, Platform: c.platform, DeviceFamily: c.family,
	})
	who := maps.Clone(r.client)
	put(who, "id", c.id)
	put(who, "mode", c.mode)
	put(who, "platform", c.platform)
	delete(who, "deviceFamily")
	if c.family != "" {
		put(who, "deviceFamily", c.family)
	}
	params := maps.Clone(r.params)
	put(params, "client", who)
	put(params, "role", roleOperator)
	put(params, "scopes", append([]string{}, scopes...))
	put(params, "auth", map[string]string{"token": c.token})
	put(params, "device", device)
	if r.most >= protocol.MinProtocol && r.least <= protocol.MaxProtocol {
		put(params, "minProtocol", protocol.MinProtocol)
		put(params, "maxProtocol", protocol.MaxProtocol)
	} // else the gateway says itself that there is no common version
	return marshal(map[string]any{"type": protocol.TypeRequest, "id": r.id, "method": "connect", "params": params})
}

// put sets a field to a value of ours.
func put(object map[string]json.RawMessage, key string, value any) {
	object[key] = marshal(value)
}

// marshal writes JSON as JavaScript does: without escapes for HTML. The values are
// ours, or were JSON when they came.
func marshal(value any) []byte {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic("a frame always marshals: " + err.Error())
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

func text(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return ""
	}
	return s
}
