package gateway

import "slices"

// scopeStep is a release that learnt operator scopes.
type scopeStep struct {
	since Version
	// asked are those that its own CLI or Control UI ask for, or would be refused
	// without; known are the others that it has a name for.
	asked, known []string
}

// scopeSteps are read from the packages: KNOWN_OPERATOR_SCOPES, the CLI's
// CLI_DEFAULT_OPERATOR_SCOPES, and the list that the Control UI connects with.
// Every release between two steps of this list has the earlier one's, betas and
// backports too (looked at: 2026.2.12, 2.17, 2.26, 5.28, 7.1, 7.2-beta.1, 7.35,
// 8.1, 8.2, 9.5, 9.6). TestEveryScopeOfAReleaseIsKnown fails for a new one.
func scopeSteps() []scopeStep {
	return []scopeStep{
		{asked: []string{"operator.admin", "operator.approvals", "operator.pairing", "operator.read", "operator.write"}},
		{since: Version{Year: 2026, Month: 2, Patch: 17}, asked: []string{"operator.talk.secrets"}},
		{since: Version{Year: 2026, Month: 8, Patch: 1}, asked: []string{"operator.questions"}, known: []string{"operator.talk"}},
		{since: Version{Year: 2026, Month: 9, Patch: 6}, known: []string{"operator.sessions.read", "operator.sessions.write"}},
	}
}

// KnownScopes are the operator scopes that the release has a name for, sorted.
// A release that is not known may know any that ever was.
func (r Release) KnownScopes() []string {
	var out []string
	for _, step := range scopeSteps() {
		if r.has(step) {
			out = slices.Concat(out, step.asked, step.known)
		}
	}
	slices.Sort(out)
	return out
}

// AskedScopes are those of them that the release's own CLI and Control UI ask
// for, sorted. What is left out, operator.admin stands for (from 2026.2.24 on).
//
// A release that is not known gets those of the newest: older ones pass over a
// scope without a meaning to them (2026.2.26 and 2026.5.28), and an init
// container, which sees no package, then writes what the gateway's container
// finds complete.
func (r Release) AskedScopes() []string {
	var out []string
	for _, step := range scopeSteps() {
		if r.has(step) {
			out = append(out, step.asked...)
		}
	}
	slices.Sort(out)
	return out
}

func (r Release) has(step scopeStep) bool { return !r.Known || r.Version.Compare(step.since) >= 0 }
