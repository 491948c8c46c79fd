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
// The JSON5 decoder knows less than the gateway's: fewer escapes, no tab or other
// control character in a string, ASCII names and white space only. Such a file is
// reported as unreadable here, which makes its answers doubtful. Of comments it has
// wrong ideas, so it is shown none.
func parseJSON5(data []byte) (any, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	plain, slash := withoutComments(data)
	if slash >= 0 {
		return nil, fmt.Errorf("%s: not JSON5", position(data, slash))
	}
	if offset := tooDeep(plain); offset >= 0 {
		return nil, fmt.Errorf("%s: nested more than %d deep", position(data, offset), maxNesting)
	}
	var value any
	if json.Unmarshal(plain, &value) == nil {
		return value, nil
	}
	value = nil
	err := json5.Unmarshal(plain, &value)
	if err == nil {
		return value, nil
	}
	if syntax, is := errors.AsType[*json5.SyntaxError](err); is {
		return nil, fmt.Errorf("%s: not JSON5", position(data, int(syntax.Offset)-1))
	}
	return nil, errors.New("not JSON5")
}

// withoutComments puts blanks for comments, so that every offset stays. A slash that
// begins no comment, or one that does not end, is returned as an offset, else -1.
//
// titanous/json5 takes any slash after a star for the end of a comment, reads on past
// U+2028 in one, and passes over an unfinished one at the end of the text: what was
// commented out would count, and would escape tooDeep.
func withoutComments(data []byte) (plain []byte, slash int) {
	plain = bytes.Clone(data)
	for i := 0; i < len(data); i++ {
		switch c := data[i]; c {
		case '"', '\'':
			i = skipString(data, i, c)
		case '/':
			length := commentLength(data[i:])
			if length == 0 {
				return nil, i
			}
			copy(plain[i:], bytes.Repeat([]byte(" "), length))
			i += length - 1
		}
	}
	return plain, -1
}

// commentLength measures the comment at the start of text, 0 when none ends there.
// The line end after // is no part of it.
func commentLength(text []byte) int {
	switch {
	case bytes.HasPrefix(text, []byte("//")):
		if end := bytes.IndexAny(text, "\n\r\u2028\u2029"); end >= 0 {
			return end
		}
		return len(text)
	case bytes.HasPrefix(text, []byte("/*")):
		if end := bytes.Index(text[2:], []byte("*/")); end >= 0 {
			return end + len("/**/")
		}
	}
	return 0
}

// tooDeep returns the offset of the first bracket beyond the bound, or -1. Brackets
// in strings do not count. The text has no comments.
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

// position is "line 3, column 7", both counted from 1, columns in bytes.
func position(data []byte, offset int) string {
	offset = max(0, min(offset, len(data)))
	line := bytes.Count(data[:offset], []byte("\n")) + 1
	column := offset - bytes.LastIndexByte(data[:offset], '\n')
	return fmt.Sprintf("line %d, column %d", line, column)
}
