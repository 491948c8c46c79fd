package protocol

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText in bytes is more than any gateway message seen, and little enough
// for one line.
const maxText = 600

// Clean makes text from a gateway fit for a terminal and a log line: no control
// or formatting characters, no invalid UTF-8, one line, bounded. What is cleaned
// is for people: it is no longer fit to be compared.
func Clean(text string) string { return clean(text) }

// clean makes the peer's text fit for a terminal and a log line: no control or
// formatting characters, no invalid UTF-8, one line, bounded.
func clean(text string) string {
	if len(text) > maxText {
		cut := maxText
		for cut > 0 && !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	text = strings.ToValidUTF8(text, "\uFFFD")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case !unicode.IsPrint(r):
			return -1
		}
		return r
	}, text)
	return strings.TrimSpace(text)
}

// cleanAll bounds a list of names, as scopes and roles are.
func cleanAll(list []string) []string {
	const most = 64
	if len(list) > most {
		list = list[:most]
	}
	var out []string
	for _, text := range list {
		out = append(out, clean(text))
	}
	return out
}
