package settings

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

const ownPrefix = "BOOTSTRAP_"

// misspelt complains about variables that can only be meant for one of ours:
// BOOTSTRAP_PRESETS=read, passed over, would give every right there is. The
// rest of BOOTSTRAP_* may be somebody else's, as BOOTSTRAP_SERVERS is Kafka's,
// and what starts with OPENCLAW_ is the gateway's.
func misspelt(environ map[string]string) (problems []string) {
	fields := Fields()
	known := map[string]bool{}
	for _, field := range fields {
		known[field.Env] = true
	}
	for _, name := range slices.Sorted(maps.Keys(environ)) {
		if known[name] || !strings.HasPrefix(name, ownPrefix) {
			continue
		}
		if i := slices.IndexFunc(fields, func(f Field) bool { return isMeantFor(f, name) }); i >= 0 {
			problems = append(problems, fmt.Sprintf("there is no variable %s: did you mean %s?", name, fields[i].Env))
		}
	}
	return problems
}

// isMeantFor says that a variable is called after the flag, as BOOTSTRAP_STATE_DIR
// would be, or nearly as the setting's own. The first letter is hardly ever the
// wrong one, and of short words many are alike: BOOTSTRAP_RESET and
// BOOTSTRAP_VER are not meant for PRESET and USER.
func isMeantFor(field Field, name string) bool {
	word := strings.ToUpper(strings.TrimPrefix(name, ownPrefix))
	// BOOTSTRAP_URL may be anybody's.
	if len(field.Flag) > 3 && word == strings.ToUpper(strings.ReplaceAll(field.Flag, "-", "_")) {
		return true
	}
	own, ours := strings.CutPrefix(field.Env, ownPrefix)
	if !ours || word == "" || word[0] != own[0] {
		return false
	}
	allowed := 2
	if len(own) < 6 {
		allowed = 1
	}
	return distance(word, own) <= allowed
}

// distance is how many letters have to be put in, taken out or replaced to make
// one word the other.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for i := range row {
		row[i] = i
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replaced := diagonal
			if a[i] != b[j] {
				replaced++
			}
			diagonal = row[j+1]
			row[j+1] = min(replaced, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
