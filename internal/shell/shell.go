// Package shell owns how a value is written where a POSIX shell reads it (a hint
// that a person pastes, an env file that a script sources), and how a shell finds a
// program. It imports no other room, so that every room that names a path in a
// hint can use it.
package shell

import "strings"

// plain characters mean themselves to every shell, in any position. Not the
// tilde: at the start of a value, and behind a colon in one, it is a home directory.
const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789%+,-./:=@_"

// plainInAssignment mean themselves there besides: a shell looks for no files
// where a value is assigned. IPv6 addresses have brackets.
const plainInAssignment = plain + "[]?"

// Quote writes a value as one word; as it is, where it has plain characters alone.
func Quote(value string) string {
	if value != "" && strings.Trim(value, plain) == "" {
		return value
	}
	return inQuotes(value)
}

// Assign writes the line of an env file that gives a variable its value. Without
// need there are no quotes: docker --env-file would take them for a part of it.
func Assign(name, value string) string {
	if strings.Trim(value, plainInAssignment) == "" {
		return name + "=" + value
	}
	return name + "=" + inQuotes(value)
}

func inQuotes(value string) string { return "'" + strings.ReplaceAll(value, "'", `'\''`) + "'" }

// Unquote reads a value that [Quote] or [Assign] has written, or a person: in single or double
// quotes, or with backslashes. It is false for what only a shell can tell: several
// words, an expansion, a quote that stays open.
func Unquote(word string) (value string, ok bool) {
	var out strings.Builder
	for i := 0; i < len(word); i++ {
		switch c := word[i]; c {
		case '\'':
			end := strings.IndexByte(word[i+1:], '\'')
			if end < 0 {
				return "", false
			}
			out.WriteString(word[i+1 : i+1+end])
			i += end + 1
		case '"':
			end := strings.IndexAny(word[i+1:], "\"$`\\")
			if end < 0 || word[i+1+end] != '"' {
				return "", false
			}
			out.WriteString(word[i+1 : i+1+end])
			i += end + 1
		case '\\':
			if i++; i == len(word) || word[i] == '\n' {
				return "", false
			}
			out.WriteByte(word[i])
		default:
			if !strings.ContainsRune(plainInAssignment, rune(c)) {
				return "", false
			}
			out.WriteByte(c)
		}
	}
	return out.String(), true
}
