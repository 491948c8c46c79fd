package settings

import (
	"cmp"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/gateway"
)

// Rules are what the approval policy admits: one that does is enough.
type Rules []approve.Rule

// UnmarshalText reads rules with commas between them.
func (r *Rules) UnmarshalText(text []byte) error {
	for _, item := range splitList(string(text)) {
		rule, err := approve.ParseRule(item)
		if err != nil {
			return err
		}
		*r = append(*r, rule)
	}
	return nil
}

// Role is a device's role.
type Role string

// ClientKinds are client ids, each with a mode or without.
type ClientKinds []string

var clientKind = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}(/[A-Za-z0-9._-]{1,64})?$`)
})

// UnmarshalText reads ID or ID/MODE with commas between them.
func (c *ClientKinds) UnmarshalText(text []byte) error {
	for _, item := range splitList(string(text)) {
		if !clientKind().MatchString(item) {
			return fmt.Errorf("%q is not a client such as cli or cli/cli", item)
		}
		*c = append(*c, item)
	}
	return nil
}

// ApprovalPolicy is what the settings say about automatic approval, where the gateway
// is of this release.
func (s Settings) ApprovalPolicy(release gateway.Release) approve.Policy {
	policy := approve.Policy{
		Rules: s.Approve, Role: string(s.ApproveRole), Scopes: s.ApproveScopes, Clients: s.ApproveClients,
		Max: s.ApproveMax, For: s.ApproveFor, Upgrades: s.ApproveUpgrades,
	}
	if s.ApproveBrowser {
		policy.Scopes, policy.Clients = release.BrowserScopes(), []string{controlUI}
		policy.Max, policy.For = cmp.Or(s.ApproveMax, 1), cmp.Or(s.ApproveFor, 10*time.Minute)
	}
	return policy
}

// controlUI is what the Control UI calls itself in a browser (2026.5.28, 2026.8.2,
// 2026.9.6).
const controlUI = "openclaw-control-ui/webchat"

// browserConflicts are settings that --approve-browser has a say of its own in.
func (s *Settings) browserConflicts(merged map[string]string) (problems []string) {
	if !s.ApproveBrowser {
		return nil
	}
	if len(s.Approve) == 0 {
		problems = append(problems, "--approve-browser (BOOTSTRAP_APPROVE_BROWSER): say who may come with it, such as --approve=first or --approve=token+cidr:10.0.0.0/8")
	}
	for _, other := range []string{"BOOTSTRAP_APPROVE_SCOPES", "BOOTSTRAP_APPROVE_CLIENT"} {
		if merged[other] != "" {
			problems = append(problems, other+" and --approve-browser do not go together: it means the Control UI and its scopes")
		}
	}
	if s.ApproveRole != "operator" {
		problems = append(problems, "--approve-role and --approve-browser do not go together: a browser is an operator")
	}
	return problems
}
