package approve

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Kind is one condition that a request can meet.
type Kind string

const (
	// PassedAuth ("token"): whoever asks has passed the gateway's token or
	// password authentication. Every release seen checks that before it looks at
	// pairing; refused where the gateway's auth mode is another one.
	PassedAuth Kind = "token"
	// FirstOperator ("first"): no operator but our own is paired, and none was
	// ever admitted as the first. Never an upgrade.
	FirstOperator Kind = "first"
	// FromLoopback ("local"): what the gateway itself takes for local. Refused
	// before 2026.8.2: there a remote client hides its address by sending an
	// X-Forwarded-For header of its own.
	FromLoopback Kind = "local"
	// FromNetwork ("cidr:…"): the address that the gateway saw is in a network.
	FromNetwork Kind = "cidr"
)

// Condition is a kind; Network belongs to FromNetwork alone.
type Condition struct {
	Kind    Kind
	Network netip.Prefix
}

// Rule admits a request that meets all of its conditions.
type Rule []Condition

// ParseRule reads one rule: token, first, local or cidr:NETWORK, several of them
// joined by "+".
func ParseRule(text string) (Rule, error) {
	var rule Rule
	for word := range strings.SplitSeq(text, "+") {
		condition, err := parseCondition(strings.TrimSpace(word))
		if err != nil {
			return nil, err
		}
		if slices.Contains(rule, condition) {
			return nil, fmt.Errorf("%q names %s twice", text, condition)
		}
		rule = append(rule, condition)
	}
	return rule, nil
}

func parseCondition(word string) (Condition, error) {
	kind, network, given := strings.Cut(word, ":")
	switch {
	case Kind(kind) == FromNetwork && given:
		prefix, err := netip.ParsePrefix(network)
		if err != nil {
			return Condition{}, fmt.Errorf("%q is not a network such as cidr:10.0.0.0/8", word)
		}
		if prefix.Addr().Is4In6() {
			return Condition{}, errors.New("write an IPv4 network as such: cidr:10.0.0.0/8")
		}
		return Condition{Kind: FromNetwork, Network: prefix.Masked()}, nil
	case !given && slices.Contains([]Kind{PassedAuth, FirstOperator, FromLoopback}, Kind(word)):
		return Condition{Kind: Kind(word)}, nil
	}
	return Condition{}, fmt.Errorf("%q is not one of token, first, local, cidr:NETWORK, or several of them joined by +", word)
}

func (c Condition) String() string {
	if c.Kind == FromNetwork {
		return "cidr:" + c.Network.String()
	}
	return string(c.Kind)
}

func (r Rule) String() string {
	var words []string
	for _, condition := range r {
		words = append(words, condition.String())
	}
	return strings.Join(words, "+")
}

// Has tells whether the rule has a condition of a kind.
func (r Rule) Has(kind Kind) bool {
	return slices.ContainsFunc(r, func(c Condition) bool { return c.Kind == kind })
}

// matches tells whether the address that the gateway saw is in the network.
func (c Condition) matches(remoteIP string) bool {
	address, err := netip.ParseAddr(remoteIP)
	// A zone makes an address of this machine's own; no network has one.
	return err == nil && address.Zone() == "" && c.Network.Contains(address.Unmap())
}
