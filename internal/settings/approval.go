package settings

import (
	"fmt"
	"regexp"
	"sync"

	"github.com/reflectt/bootstrap/internal/approve"
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

// UnmarshalText reads a Role.
func (r *Role) UnmarshalText(text []byte) error { return oneOf(r, text, "operator", "node") }

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

// ApprovalPolicy is what the settings say about automatic approval.
func (s Settings) ApprovalPolicy() approve.Policy {
	return approve.Policy{
		Rules: s.Approve, Role: string(s.ApproveRole), Scopes: s.ApproveScopes, Clients: s.ApproveClients,
		Max: s.ApproveMax, For: s.ApproveFor, Upgrades: s.ApproveUpgrades,
	}
}
