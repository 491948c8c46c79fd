package seed

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
)

// object is a JSON object whose members keep their order and their very bytes:
// what is not set anew comes out as it went in.
type object struct{ members []member }

type member struct {
	key string
	raw json.RawMessage
}

// parseObject reads an object. Of a name that is there twice the last one
// counts, as in JavaScript, and both are kept.
func parseObject(data []byte) (object, error) {
	spans, _, err := scanMembers(data)
	if err != nil {
		return object{}, err
	}
	var o object
	for _, span := range spans {
		o.members = append(o.members, member{key: span.key, raw: data[span.start:span.end]})
	}
	return o, nil
}

// objectOrEmpty reads an object; anything else is as good as an empty one.
func objectOrEmpty(raw json.RawMessage) object {
	o, _ := parseObject(raw)
	return o
}

// size is how many bytes its values have.
func (o object) size() (size int) {
	for _, m := range o.members {
		size += len(m.raw)
	}
	return size
}

// get returns a member's bytes, nil where it is absent.
func (o object) get(key string) json.RawMessage {
	for i := len(o.members) - 1; i >= 0; i-- {
		if o.members[i].key == key {
			return o.members[i].raw
		}
	}
	return nil
}

// set replaces the member that counts, or adds one at the end.
func (o *object) set(key string, value any) {
	raw := marshal(value)
	for i := len(o.members) - 1; i >= 0; i-- {
		if o.members[i].key == key {
			o.members[i].raw = raw
			return
		}
	}
	o.members = append(o.members, member{key: key, raw: raw})
}

// drop removes a member, wherever it is named.
func (o *object) drop(key string) {
	o.members = slices.DeleteFunc(o.members, func(m member) bool { return m.key == key })
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	out.WriteByte('{')
	for i, m := range o.members {
		if i > 0 {
			out.WriteByte(',')
		}
		out.Write(marshal(m.key))
		out.WriteByte(':')
		out.Write(m.raw)
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// marshal writes a value without HTML escapes, as JSON.stringify does.
func marshal(value any) []byte {
	if raw, ok := value.(json.RawMessage); ok {
		return raw
	}
	if o, ok := value.(object); ok {
		data, _ := o.MarshalJSON()
		return data
	}
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		panic(fmt.Sprintf("a %T always marshals: %v", value, err))
	}
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}

// decode reads a member into a value; false where it is absent or something
// else than the value's type.
func decode[T any](raw json.RawMessage) (T, bool) {
	var value T
	if raw == nil || bytes.Equal(bytes.TrimSpace(raw), []byte("null")) || json.Unmarshal(raw, &value) != nil {
		var zero T
		return zero, false
	}
	return value, true
}
