package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/titanous/json5"
)

// maxNesting is far beyond any configuration. The decoder recurses, so the bound
// is what keeps a hostile file from exhausting the stack.
const maxNesting = 500

// parseJSON5 reads a configuration as the gateway does: strict JSON first, then
// JSON5. Errors give line and column but nothing of the text, which may be secret.
//
// The JSON5 decoder knows less than the gateway's, and has wrong ideas of comments: it
// is shown what plainJSON5 makes of the text. What it then does not know, such as an
// escape in a name without quotes, makes the answers doubtful.
func parseJSON5(data []byte) (any, error) {
	plain, slash, ok := plainJSON5(data, math.MaxInt)
	if !ok {
		return nil, fmt.Errorf("%s: not JSON5", position(data, slash))
	}
	place := func(offset int) string {
		_, at, _ := plainJSON5(data, offset)
		return position(data, at)
	}
	if offset := tooDeep(plain); offset >= 0 {
		return nil, fmt.Errorf("%s: nested more than %d deep", place(offset), maxNesting)
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
		return nil, fmt.Errorf("%s: not JSON5", place(int(syntax.Offset)-1))
	}
	return nil, errors.New("not JSON5")
}

// plainJSON5 writes the text in the part of JSON5 that the decoder knows: a blank for
// each comment and white space, quotes around names that are not ASCII, and in strings
// the escapes of JSON. It ends where limit bytes are written, or at a slash that begins
// no comment, or one that does not end: then ok is false. at is the place in data.
//
// titanous/json5 takes any slash after a star for the end of a comment, reads on past
// U+2028 in one, and passes over an unfinished one at the end of the text: what was
// commented out would count, and would escape tooDeep.
func plainJSON5(data []byte, limit int) (plain []byte, at int, ok bool) {
	plain = make([]byte, 0, len(data))
	var quote byte // of the string that at is in
	for at < len(data) {
		var length int
		var piece []byte
		switch c := data[at]; {
		case quote != 0:
			length, piece = plainInString(data[at:])
			if c == quote {
				quote = 0
			}
		case c == '"' || c == '\'':
			length, piece, quote = 1, data[at:at+1], c
		case c == '/':
			if length = commentLength(data[at:]); length == 0 {
				return nil, at, false
			}
			piece = []byte(" ")
		default:
			length, piece = plainOutside(data[at:])
		}
		if len(piece) > limit-len(plain) {
			return plain, at, true
		}
		plain, at = append(plain, piece...), at+length
	}
	return plain, at, true
}

// plainOutside is what to write for the start of text, outside a string, and how much
// of text that is.
func plainOutside(text []byte) (length int, piece []byte) {
	r, size := utf8.DecodeRune(text)
	if isSpaceJS(r) {
		return size, []byte(" ")
	}
	if !unicode.In(r, unicode.L, unicode.Nl) && r != '$' && r != '_' {
		return size, text[:size]
	}
	name, ascii := text, true
	if end := bytes.IndexFunc(text, func(r rune) bool { return !isInName(r) }); end >= 0 {
		name = text[:end]
	}
	for _, c := range name {
		ascii = ascii && c < utf8.RuneSelf
	}
	if ascii || !bytes.HasPrefix(bytes.TrimLeftFunc(text[len(name):], isSpaceJS), []byte(":")) {
		return len(name), name
	}
	return len(name), []byte(`"` + string(name) + `"`)
}

func isInName(r rune) bool {
	return r == '$' || r == '\u200c' || r == '\u200d' ||
		unicode.In(r, unicode.L, unicode.Nl, unicode.Mn, unicode.Mc, unicode.Nd, unicode.Pc)
}

// plainInString is that in a string.
func plainInString(text []byte) (length int, piece []byte) {
	escape := func(r rune) []byte { return fmt.Appendf(nil, "\\u%04x", r) }
	isControl := func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' } // which end no string
	if text[0] != '\\' || len(text) == 1 {
		if isControl(rune(text[0])) {
			return 1, escape(rune(text[0]))
		}
		return 1, text[:1]
	}
	isHex := func(c byte) bool { return strings.IndexByte("0123456789abcdefABCDEF", c) >= 0 }
	r, size := utf8.DecodeRune(text[1:])
	size++
	switch {
	case r == '\r' && bytes.HasPrefix(text[2:], []byte("\n")):
		return 3, nil
	case strings.ContainsRune("\r\n\u2028\u2029", r):
		return size, nil
	case r == 'x' && len(text) > 3 && isHex(text[2]) && isHex(text[3]):
		return 4, append([]byte(`\u00`), text[2:4]...)
	case r == 'v':
		return size, escape('\v')
	case r == '0' && (len(text) == 2 || text[2] < '0' || text[2] > '9'):
		return size, escape(0)
	case isControl(r):
		return size, escape(r)
	case strings.ContainsRune(`bfnrtux\/"'0123456789`, r):
		return size, text[:size]
	}
	return size, text[1:size]
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
