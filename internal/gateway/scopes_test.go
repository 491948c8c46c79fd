package gateway

import (
	"slices"
	"strings"
	"testing"
)

func TestFullScopesFollowTheRelease(t *testing.T) {
	const oldest = "admin approvals pairing read write"
	for version, want := range map[string]struct{ asked, known string }{
		"2026.1.29":       {oldest, ""},
		"2026.2.12":       {oldest, ""},
		"2026.2.17":       {oldest + " talk.secrets", ""},
		"2026.5.28":       {oldest + " talk.secrets", ""},
		"2026.7.2-beta.1": {oldest + " talk.secrets", ""},
		"2026.7.35":       {oldest + " talk.secrets", ""},
		"2026.8.1":        {oldest + " talk.secrets questions", "talk"},
		"2026.9.5":        {oldest + " talk.secrets questions", "talk"},
		"2026.9.6":        {oldest + " talk.secrets questions", "talk sessions.read sessions.write"},
		"2027.1.1":        {oldest + " talk.secrets questions", "talk sessions.read sessions.write"},
		"unknown":         {oldest + " talk.secrets questions", "talk sessions.read sessions.write"},
	} {
		release := Release{}
		if version != "unknown" {
			parsed, err := ParseVersion(version)
			if err != nil {
				t.Fatal(err)
			}
			release = Release{Version: parsed, Known: true}
		}
		if got := release.AskedScopes(); !slices.Equal(got, scopesOf(want.asked)) {
			t.Errorf("%s: its CLI and Control UI ask for %v", version, got)
		}
		if got := release.KnownScopes(); !slices.Equal(got, scopesOf(want.asked+" "+want.known)) {
			t.Errorf("%s: it knows %v", version, got)
		}
	}
}

func scopesOf(words string) []string {
	var out []string
	for _, word := range strings.Fields(words) {
		out = append(out, "operator."+word)
	}
	slices.Sort(out)
	return out
}
