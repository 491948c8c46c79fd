package seed

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// span is the position of a member's value in the bytes of its object.
type span struct {
	key        string
	start, end int
}

// scanMembers checks that data is one valid JSON object and finds its members
// without decoding their values: a store with ten thousand devices is checked
// in one pass and walked in another. closing is the place of the last brace.
func scanMembers(data []byte) (spans []span, closing int, err error) {
	return scanAtMost(len(data), data)
}

// scanAtMost is [scanMembers] for what may have been planted.
func scanAtMost(most int, data []byte) (spans []span, closing int, err error) {
	if !json.Valid(data) {
		return nil, 0, syntaxError(data)
	}
	at := skipSpace(data, 0)
	if data[at] != '{' {
		return nil, 0, errors.New("it is not a JSON object")
	}
	for at = skipSpace(data, at+1); data[at] != '}'; {
		keyEnd := skipString(data, at)
		key, err := unquote(data[at:keyEnd])
		if err != nil {
			return nil, 0, err
		}
		start := skipSpace(data, skipSpace(data, keyEnd)+1) // after the colon
		end := skipValue(data, start)
		if len(spans) == most {
			return nil, 0, fmt.Errorf("it has more than %d entries", most)
		}
		spans = append(spans, span{key: key, start: start, end: end})
		if at = skipSpace(data, end); data[at] == ',' {
			at = skipSpace(data, at+1)
		}
	}
	return spans, at, nil
}

// unquote decodes a name; the quick way where there is nothing to decode.
func unquote(quoted []byte) (string, error) {
	if bytes.IndexByte(quoted, '\\') < 0 {
		return string(quoted[1 : len(quoted)-1]), nil
	}
	var name string
	err := json.Unmarshal(quoted, &name)
	return name, err
}

// The skip functions rely on data being valid JSON.

func skipSpace(data []byte, at int) int {
	for data[at] == ' ' || data[at] == '\n' || data[at] == '\t' || data[at] == '\r' {
		at++
	}
	return at
}

func skipString(data []byte, at int) int {
	for at++; data[at] != '"'; at++ {
		if data[at] == '\\' {
			at++
		}
	}
	return at + 1
}

func skipValue(data []byte, at int) int {
	depth := 0
	for {
		switch data[at] {
		case '"':
			at = skipString(data, at)
		case '{', '[':
			depth++
			at++
		case '}', ']':
			depth--
			at++
		default:
			at++
		}
		if depth > 0 {
			continue
		}
		// A number, true, false or null ends before the next mark.
		switch data[at] {
		case ',', '}', ']', ' ', '\n', '\t', '\r':
			return at
		}
	}
}

// syntaxError says what is wrong and where, in words for the likely causes.
func syntaxError(data []byte) error {
	switch {
	case len(data) == 0:
		return errors.New("it is empty (0 bytes), as after a torn write")
	case bytes.HasPrefix(data, []byte("\xef\xbb\xbf")):
		return errors.New("it starts with a byte order mark, which the gateway does not read")
	case len(bytes.Trim(data, "\x00")) == 0:
		return errors.New("it consists of zero bytes, as after a crash of the disk")
	}
	var into json.RawMessage
	err := json.Unmarshal(data, &into)
	if syntax := (*json.SyntaxError)(nil); errors.As(err, &syntax) {
		// Offset counts the bytes up to and with the one at fault.
		before := data[:max(0, min(int(syntax.Offset), len(data))-1)]
		line := bytes.Count(before, []byte("\n")) + 1
		column := len(before) - bytes.LastIndexByte(before, '\n')
		return fmt.Errorf("it is not JSON: line %d, column %d: %s", line, column, syntax.Error())
	}
	return fmt.Errorf("it is not JSON: %w", err)
}
