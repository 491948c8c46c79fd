package approve

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/identity"
)

// Policy says which requests are approved without a person. One rule that
// admits is enough; every cap counts whichever rule that is.
type Policy struct {
	Rules []Rule
	// Role is the only one that may be asked for.
	Role string
	// Scopes are all that may be asked for, compared literally.
	Scopes []string
	// Clients are those that may ask, as ID or ID/MODE; none means all. A client
	// chooses what it calls itself: this keeps mistakes out, not attackers.
	Clients []string
	// Max is how many approvals there may ever be; zero is no limit.
	Max int
	// For is how long after the gateway's first answer requests are approved; zero is
	// no limit.
	For time.Duration
	// Upgrades: also what a paired device asks for beyond what it has.
	Upgrades bool
}

// Uses tells whether any rule has a condition of a kind.
func (p Policy) Uses(kind Kind) bool {
	return slices.ContainsFunc(p.Rules, func(r Rule) bool { return r.Has(kind) })
}

// PolicyError is a policy that this gateway gives no ground for.
type PolicyError struct {
	Kind Kind
	Why  string
	Fix  string
}

func (e *PolicyError) Error() string {
	return fmt.Sprintf("cannot apply --approve=%s: %s", e.Kind, e.Why)
}
func (e *PolicyError) Class() string { return "usage" }

func (e *PolicyError) Hint() string { return e.Fix }

// check refuses conditions that prove nothing on this gateway. authMode is what
// the gateway says, else what its configuration says; version is its hello's.
func (p Policy) check(authMode, version string) error {
	if p.Uses(PassedAuth) && authMode != "token" && authMode != "password" {
		why := "the gateway's auth mode is " + authMode
		if authMode == "" {
			why = "the gateway does not say what its auth mode is"
		}
		return &PolicyError{PassedAuth, why + ", so nobody who asks has shown a token or password",
			"set gateway.auth.mode to token or password, or use cidr:NETWORK"}
	}
	if p.Uses(FromLoopback) && !marksLocal(version) {
		return &PolicyError{FromLoopback, "before 2026.8.2 a remote client passes for local by sending an X-Forwarded-For header, and this gateway is " + cmp.Or(version, "of an unknown release"),
			"use token or cidr:NETWORK, or a newer gateway"}
	}
	return nil
}

// marksLocal: from 2026.8.2 on the gateway refuses forwarding headers of peers
// that are no trusted proxy, so a request without an address came over loopback.
func marksLocal(version string) bool {
	v, err := gateway.ParseVersion(version)
	since, _ := gateway.ParseVersion("2026.8.2")
	return err == nil && v.Compare(since) >= 0
}

// situation is what a request is judged in.
type situation struct {
	paired map[string]Paired
	// own are the devices that do not count for FirstOperator.
	own map[string]bool
	// out is why a device that is not paired stays out, empty where it does not; filled
	// as they are asked for.
	out map[string]verdict
	// firstTakenBy is the device that was, or is being, admitted as the first;
	// firstDone says that it was.
	firstTakenBy string
	firstDone    bool
	approved     int
	// hasPlace: the device is among the approved already, by an approval that broke off,
	// which may be tried again for that device alone.
	hasPlace   bool
	watchedFor time.Duration
}

// verdict is what the policy says to a request: the rule that admits it, or why
// it stays pending.
type verdict struct {
	rule    Rule
	upgrade bool
	why     string
	// passing: that may be over by itself.
	passing bool
}

func (v verdict) admits() bool { return v.why == "" }

// judge decides on a request as the gateway lists it at this moment.
func (p Policy) judge(request Request, in situation) verdict {
	before, known := in.paired[request.DeviceID]
	v := verdict{upgrade: known || request.Repair}
	token := slices.IndexFunc(before.Tokens, func(t Token) bool { return t.Role == p.Role })
	switch {
	case !request.OwnsKey():
		v.why = "its device id does not belong to its key"
	case len(request.Roles) == 0 || !subset(request.Roles, []string{p.Role}):
		v.why = fmt.Sprintf("it asks for the role %s, and %s is allowed", list(request.Roles), p.Role)
	case !subset(request.Scopes, p.Scopes):
		v.why = "it asks for scopes beyond --approve-scopes: " + list(without(request.Scopes, p.Scopes))
	case !p.allowsClient(request.Device):
		v.why = fmt.Sprintf("the client %s/%s is not among --approve-client", request.ClientID, request.ClientMode)
	case before.Unreadable:
		v.why = "the device is paired already, with what cannot be read"
	case known && before.PublicKey != request.PublicKey:
		v.why = "the device is paired with another key"
	case v.upgrade && !p.Upgrades:
		v.why = "the device is paired already and asks for a change, which needs --approve-upgrades"
	// An approval makes another token, on 2026.9.6 with the scopes of the one before, and
	// whoever has a token may have all that the device was ever approved for.
	case token >= 0 && !before.Tokens[token].RevokedAt.IsZero():
		v.why = "somebody revoked its token, and an approval gives back all that it had: " + list(before.Scopes)
	case known && token < 0 && !subset(before.Scopes, p.Scopes):
		v.why = "it has no token, and an approval gives back scopes beyond --approve-scopes: " + list(without(before.Scopes, p.Scopes))
	case p.For > 0 && in.watchedFor > p.For:
		v.why = "the time of --approve-for is over"
	case p.Max > 0 && in.approved >= p.Max && !in.hasPlace:
		v.why = fmt.Sprintf("--approve-max is reached: %d", p.Max)
	default:
		v.rule, v.why = p.admitting(request, v.upgrade, in)
	}
	return v
}

// admitting finds the first rule that admits.
func (p Policy) admitting(request Request, upgrade bool, in situation) (Rule, string) {
	var reasons []string
	for _, rule := range p.Rules {
		why := ""
		for _, condition := range rule {
			if why = condition.refuses(request, upgrade, in); why != "" {
				break
			}
		}
		if why == "" {
			return rule, ""
		}
		reasons = append(reasons, why)
	}
	if len(reasons) == 0 {
		return nil, "there is no rule"
	}
	return nil, strings.Join(slices.Compact(reasons), "; ")
}

// refuses is why a condition does not hold, empty where it does.
func (c Condition) refuses(request Request, upgrade bool, in situation) string {
	switch c.Kind {
	case PassedAuth:
		return "" // every pending request has, where check let the policy pass
	case FirstOperator:
		return refusesFirst(request, upgrade, in)
	case FromLoopback:
		if request.RemoteIP != "" {
			return "it does not come from loopback"
		}
		return ""
	case FromNetwork:
		if !c.matches(request.RemoteIP) {
			return fmt.Sprintf("its address %s is not in %s", cmp.Or(request.RemoteIP, "(none)"), c.Network)
		}
		return ""
	}
	return "unknown condition"
}

func refusesFirst(request Request, upgrade bool, in situation) string {
	switch {
	case upgrade:
		return "an upgrade is never the first"
	case in.firstDone:
		return "the first operator was admitted before"
	case in.firstTakenBy != "" && in.firstTakenBy != request.DeviceID:
		return "another device is being admitted as the first operator"
	}
	for id, device := range in.paired {
		switch {
		case in.own[id] || !device.mayBeOperator():
		case device.Unreadable:
			return "a device is paired that cannot be read, and may be an operator"
		default:
			return "an operator is paired already"
		}
	}
	return ""
}

func (p Policy) allowsClient(device Device) bool {
	if len(p.Clients) == 0 {
		return true
	}
	return slices.Contains(p.Clients, device.ClientID) ||
		slices.Contains(p.Clients, device.ClientID+"/"+device.ClientMode)
}

// OwnsKey tells whether the id belongs to the key: it is the SHA-256 of it, on
// every release.
func (d Device) OwnsKey() bool {
	key, err := identity.ParsePublicKey(d.PublicKey)
	return err == nil && identity.DeviceID(key) == d.DeviceID
}

func without(list, of []string) []string {
	return slices.DeleteFunc(slices.Clone(list), func(s string) bool { return slices.Contains(of, s) })
}
