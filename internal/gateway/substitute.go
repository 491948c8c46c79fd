package gateway

import (
	"strings"
)

// reference is ${NAME} or its escape $${NAME}; only capitals are names.
var reference = pattern(`\$?\$\{[A-Z_][A-Z0-9_]*\}`)

// substitute replaces every ${NAME} in a configuration string. $${NAME} stands for
// the literal ${NAME}. A variable that is not set or empty is returned in missing;
// the gateway either refuses the file (2026.2.26) or keeps the text (2026.5.28).
func substitute(text string, vars variables) (result string, missing []string) {
	result = reference().ReplaceAllStringFunc(text, func(match string) string {
		if strings.HasPrefix(match, "$$") {
			return match[1:]
		}
		name := match[2 : len(match)-1]
		value := vars.values[name]
		if value == "" {
			missing = append(missing, name)
			return match
		}
		return value
	})
	return result, missing
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
