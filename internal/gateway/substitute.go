package gateway

import (
	"fmt"
	"slices"
	"strings"
)

// reference is ${NAME} or its escape $${NAME}; only capitals are names.
var reference = pattern(`\$?\$\{[A-Z_][A-Z0-9_]*\}`)

// maxExpanded in bytes bounds a value with its variables in it: no variable can be
// larger in a process's environment (MAX_ARG_STRLEN), and twenty that name each
// other twice would otherwise be a million.
const maxExpanded = 128 << 10

// substitute replaces every ${NAME} in a configuration string. $${NAME} stands for
// the literal ${NAME}. Why that cannot be done is the problem, in a few words after
// the string's own name: the gateway then either refuses the file (2026.2.26) or
// keeps the text (2026.5.28).
func substitute(text string, vars variables) (result, problem string) {
	var out strings.Builder
	var missing []string
	end := 0
	for _, at := range reference().FindAllStringIndex(text, -1) {
		match := text[at[0]:at[1]]
		value := match[1:]
		if !strings.HasPrefix(match, "$$") {
			name := match[2 : len(match)-1]
			if value = vars.values[name]; value == "" {
				missing = append(missing, name)
			}
		}
		out.WriteString(text[end:at[0]])
		out.WriteString(value)
		end = at[1]
		if out.Len() > maxExpanded {
			return "", fmt.Sprintf("is longer than %d KiB once its variables are in it", maxExpanded>>10)
		}
	}
	if len(missing) > 0 {
		return "", "needs " + someOf(missing) + ", which is not set"
	}
	return out.String() + text[end:], ""
}

// someOf lists a few names.
func someOf(names []string) string {
	const most = 3
	if len(names) > most {
		names = append(slices.Clone(names[:most]), "others")
	}
	return fmt.Sprintf("%.500s", strings.Join(names, " and "))
}

// hasReference tells whether a string holds a ${NAME} that is not escaped.
func hasReference(text string) bool {
	for _, match := range reference().FindAllString(text, -1) {
		if !strings.HasPrefix(match, "$$") {
			return true
		}
	}
	return false
}
