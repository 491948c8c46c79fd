package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/titanous/json5"
)

// maxNesting is far beyond any configuration. The decoder recurses, so the bound
// is what keeps a hostile file from exhausting the stack.
const maxNesting = 500

// parseJSON5 reads a configuration as the gateway does: strict JSON first, then
// JSON5. Errors give line and column but nothing of the text, which may be secret.
//
// The JSON5 decoder knows a little less than the gateway's (no \x escapes, no
// comment between a key and its colon, ASCII names only). Such a file is reported
// as unreadable here, which makes its answers doubtful but never wrong.
func parseJSON5(data []byte) (any, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if offset := tooDeep(data); offset >= 0 {
		return nil, fmt.Errorf("%s: nested more than %d deep", position(data, offset), maxNesting)
	}
	var value any
	if json.Unmarshal(data, &value) == nil {
		return value, nil
	}
	value = nil
	err := json5.Unmarshal(data, &value)
	if err == nil {
		return value, nil
	}
	var syntax *json5.SyntaxError
	if errors.As(err, &syntax) {
		return nil, fmt.Errorf("%s: not JSON5", position(data, int(syntax.Offset)-1))
	}
	return nil, errors.New("not JSON5")
}

// tooDeep returns the offset of the first bracket beyond the bound, or -1. Brackets
// in strings and comments do not count.
func tooDeep(data []byte) int {
	depth := 0
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '[', '{':
			if depth++; depth > maxNesting {
				return i
			}
		case ']', '}':
			depth--
		case '"', '\'':
			i = skipString(data, i, c)
		case '/':
			i = skipComment(data, i)
		}
	}
	return -1
}

func skipString(data []byte, start int, quote byte) int {
	for i := start + 1; i < len(data); i++ {
		switch data[i] {
		case '\\':
			i++
		case quote:
			return i
		}
	}
	return len(data)
}

func skipComment(data []byte, start int) int {
	rest := data[start:]
	end := -1
	switch {
	case bytes.HasPrefix(rest, []byte("//")):
		end = bytes.IndexByte(rest, '\n')
	case bytes.HasPrefix(rest, []byte("/*")):
		if end = bytes.Index(rest[2:], []byte("*/")); end >= 0 {
			end += 3
		}
	default:
		return start
	}
	if end < 0 {
		return len(data)
	}
	return start + end
}

// position is "line 3, column 7", both counted from 1, columns in bytes.
func position(data []byte, offset int) string {
	offset = max(0, min(offset, len(data)))
	line := bytes.Count(data[:offset], []byte("\n")) + 1
	column := offset - bytes.LastIndexByte(data[:offset], '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}
