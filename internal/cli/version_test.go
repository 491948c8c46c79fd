package cli

import (
	"runtime/debug"
	"strings"
	"testing"
)

func TestTheVersionIsTakenFromGitWhereTheLinkerWasToldNothing(t *testing.T) {
	v := thisVersion(&debug.BuildInfo{Settings: []debug.BuildSetting{
		{Key: "vcs.revision", Value: "0123456789ab"}, {Key: "vcs.time", Value: "2026-11-22T20:00:00Z"}, {Key: "vcs.modified", Value: "true"},
	}})
	if v.Commit != "0123456789ab" || v.CommitTime != "2026-11-22T20:00:00Z" || v.Modified == nil || !*v.Modified {
		t.Errorf("got %+v", v)
	}
	if got := v.String(); !strings.Contains(got, "(commit 0123456789ab of 2026-11-22T20:00:00Z, modified, go") {
		t.Errorf("got %q", got)
	}
}

func TestAVersionOfWhichNobodyKnowsTheCommitSaysSo(t *testing.T) {
	v := thisVersion(nil)
	if v.Modified != nil || !strings.Contains(v.String(), "commit unknown, go") {
		t.Errorf("got %+v", v)
	}
}
