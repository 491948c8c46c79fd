package approve

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
)

func rules(t testing.TB, texts ...string) []Rule {
	t.Helper()
	var out []Rule
	for _, text := range texts {
		rule, err := ParseRule(text)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, rule)
	}
	return out
}

// asking is a request by a device of its own, from another machine.
func asking(t testing.TB, n byte, change func(*Request)) Request {
	t.Helper()
	key := make([]byte, 32)
	key[0] = n
	id, err := identity.FromSeed(key, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	r := Request{
		RequestID: "request-" + string(rune('a'+n%26)), Roles: []string{"operator"}, Scopes: []string{"operator.read"},
		Device: Device{DeviceID: id.DeviceID(), PublicKey: id.PublicKey(), ClientID: "cli", ClientMode: "cli", RemoteIP: "192.0.2.7"},
	}
	if change != nil {
		change(&r)
	}
	return r
}

func readWritePolicy(rules []Rule, change func(*Policy)) Policy {
	p := Policy{Rules: rules, Role: "operator", Scopes: readWrite}
	if change != nil {
		change(&p)
	}
	return p
}

func TestARuleIsTakenOrRefusedByItsForm(t *testing.T) {
	for text, want := range map[string]string{
		"token": "token", "first": "first", "local": "local", "cidr:10.1.2.3/8": "cidr:10.0.0.0/8",
		"cidr:fd00::1/8": "cidr:fd00::/8", "first+cidr:10.0.0.0/8": "first+cidr:10.0.0.0/8", " token + first ": "token+first",
	} {
		if rule, err := ParseRule(text); err != nil || rule.String() != want {
			t.Errorf("%q is %q, %v", text, rule, err)
		}
	}
	for _, text := range []string{"", "Token", "all", "cidr", "cidr:", "cidr:10.0.0.1", "cidr:10.0.0.0/33", "token:", "token:x", "token+", "first+first", "cidr:::ffff:10.0.0.0/104"} {
		if rule, err := ParseRule(text); err == nil {
			t.Errorf("%q is taken as %q", text, rule)
		}
	}
}

func TestEachConditionAdmitsWhatItNames(t *testing.T) {
	other := map[string]Paired{"other": {Device: Device{DeviceID: "other"}, Roles: []string{"operator"}}}
	for name, test := range map[string]struct {
		rules   []string
		request func(*Request)
		in      situation
		rule    string // "" where nothing admits
	}{
		"token, from anywhere":              {[]string{"token"}, nil, situation{}, "token"},
		"first, nobody is there":            {[]string{"first"}, nil, situation{}, "first"},
		"first, only our own are there":     {[]string{"first"}, nil, situation{paired: other, own: map[string]bool{"other": true}}, "first"},
		"first, another operator is there":  {[]string{"first"}, nil, situation{paired: other}, ""},
		"first, only a node is there":       {[]string{"first"}, nil, situation{paired: map[string]Paired{"n": {Roles: []string{"node"}}}}, "first"},
		"first, one was admitted before":    {[]string{"first"}, nil, situation{firstTakenBy: "gone", firstDone: true}, ""},
		"first, another is being admitted":  {[]string{"first"}, nil, situation{firstTakenBy: "another"}, ""},
		"first, this one is being admitted": {[]string{"first"}, nil, situation{firstTakenBy: asking(t, 1, nil).DeviceID}, "first"},
		"first, the same one a second time": {[]string{"first"}, nil, situation{firstTakenBy: asking(t, 1, nil).DeviceID, firstDone: true}, ""},
		"local, no address":                 {[]string{"local"}, func(r *Request) { r.RemoteIP = "" }, situation{}, "local"},
		"local, an address":                 {[]string{"local"}, nil, situation{}, ""},
		"cidr, inside":                      {[]string{"cidr:192.0.2.0/24"}, nil, situation{}, "cidr:192.0.2.0/24"},
		"cidr, inside, written as IPv6":     {[]string{"cidr:192.0.2.0/24"}, func(r *Request) { r.RemoteIP = "::ffff:192.0.2.9" }, situation{}, "cidr:192.0.2.0/24"},
		"cidr, outside":                     {[]string{"cidr:198.51.100.0/24"}, nil, situation{}, ""},
		"cidr, no address":                  {[]string{"cidr:0.0.0.0/0"}, func(r *Request) { r.RemoteIP = "" }, situation{}, ""},
		"cidr, no address but words":        {[]string{"cidr:0.0.0.0/0"}, func(r *Request) { r.RemoteIP = "192.0.2.7, 10.0.0.1" }, situation{}, ""},
		"cidr, with a zone":                 {[]string{"cidr:fe80::/10"}, func(r *Request) { r.RemoteIP = "fe80::1%eth0" }, situation{}, ""},
		"the second of two":                 {[]string{"local", "token"}, nil, situation{}, "token"},
		"both of two joined":                {[]string{"first+cidr:192.0.2.0/24"}, nil, situation{}, "first+cidr:192.0.2.0/24"},
		"one of two joined":                 {[]string{"first+cidr:198.51.100.0/24"}, nil, situation{}, ""},
		"no rule":                           {nil, nil, situation{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			v := readWritePolicy(rules(t, test.rules...), nil).judge(asking(t, 1, test.request), test.in)
			if v.admits() != (test.rule != "") || v.rule.String() != test.rule {
				t.Errorf("got rule %q, why %q", v.rule, v.why)
			}
		})
	}
}

func TestEveryCapHoldsWhateverTheRule(t *testing.T) {
	paired := func(r Request) situation {
		return situation{paired: map[string]Paired{r.DeviceID: {Device: r.Device, Roles: r.Roles}}, own: map[string]bool{r.DeviceID: true}}
	}
	plain := asking(t, 1, nil)
	holding := func(scopes []string, tokens ...Token) situation {
		return situation{paired: map[string]Paired{plain.DeviceID: {Device: plain.Device, Roles: plain.Roles, Scopes: scopes, Tokens: tokens}}}
	}
	upgrades := func(p *Policy) { p.Upgrades = true }
	admin := []string{"operator.admin"}
	for name, test := range map[string]struct {
		policy  func(*Policy)
		request func(*Request)
		in      situation
		ok      bool
	}{
		"inside all":                 {nil, nil, situation{}, true},
		"no scopes at all":           {nil, func(r *Request) { r.Scopes = nil }, situation{}, true},
		"one scope more":             {nil, func(r *Request) { r.Scopes = append(r.Scopes, "operator.admin") }, situation{}, false},
		"that scope allowed":         {func(p *Policy) { p.Scopes = append(slices.Clone(p.Scopes), "operator.admin") }, func(r *Request) { r.Scopes = []string{"operator.admin"} }, situation{}, true},
		"admin does not cover":       {func(p *Policy) { p.Scopes = []string{"operator.admin"} }, nil, situation{}, false},
		"the role node":              {nil, func(r *Request) { r.Roles = []string{"node"} }, situation{}, false},
		"a role more":                {nil, func(r *Request) { r.Roles = []string{"operator", "node"} }, situation{}, false},
		"no role":                    {nil, func(r *Request) { r.Roles = nil }, situation{}, false},
		"the role node allowed":      {func(p *Policy) { p.Role = "node" }, func(r *Request) { r.Roles, r.Scopes = []string{"node"}, nil }, situation{}, true},
		"operator where node is":     {func(p *Policy) { p.Role = "node" }, nil, situation{}, false},
		"another key than its id":    {nil, func(r *Request) { r.PublicKey = asking(t, 2, nil).PublicKey }, situation{}, false},
		"no key":                     {nil, func(r *Request) { r.PublicKey = "" }, situation{}, false},
		"the client allowed":         {func(p *Policy) { p.Clients = []string{"cli"} }, nil, situation{}, true},
		"the client and mode":        {func(p *Policy) { p.Clients = []string{"cli/cli"} }, nil, situation{}, true},
		"another mode":               {func(p *Policy) { p.Clients = []string{"cli/webchat"} }, nil, situation{}, false},
		"another client":             {func(p *Policy) { p.Clients = []string{"gateway-client"} }, nil, situation{}, false},
		"below the maximum":          {func(p *Policy) { p.Max = 2 }, nil, situation{approved: 1}, true},
		"at the maximum":             {func(p *Policy) { p.Max = 2 }, nil, situation{approved: 2}, false},
		"within the window":          {func(p *Policy) { p.For = time.Minute }, nil, situation{watchedFor: time.Minute}, true},
		"after the window":           {func(p *Policy) { p.For = time.Minute }, nil, situation{watchedFor: time.Minute + 1}, false},
		"an upgrade":                 {nil, nil, paired(plain), false},
		"an upgrade allowed":         {func(p *Policy) { p.Upgrades = true }, nil, paired(plain), true},
		"a repair":                   {nil, func(r *Request) { r.Repair = true }, situation{}, false},
		"paired with another key":    {func(p *Policy) { p.Upgrades = true }, nil, paired(Request{Device: Device{DeviceID: plain.DeviceID, PublicKey: "x"}}), false},
		"an upgrade by first":        {func(p *Policy) { p.Upgrades, p.Rules = true, rules(t, "first") }, nil, paired(plain), false},
		"an upgrade by first, cidr":  {func(p *Policy) { p.Upgrades, p.Rules = true, rules(t, "first+cidr:0.0.0.0/0") }, nil, paired(plain), false},
		"an upgrade by first, token": {func(p *Policy) { p.Upgrades, p.Rules = true, rules(t, "first", "token") }, nil, paired(plain), true},
		"an admin's token at work":   {upgrades, nil, holding(admin, Token{Role: "operator"}), true},
		"an admin's revoked token":   {upgrades, nil, holding(admin, Token{Role: "operator", RevokedAt: time.Now()}), false},
		"a reader's revoked token":   {upgrades, nil, holding(readWrite, Token{Role: "operator", RevokedAt: time.Now()}), false},
		"another role's revoked":     {upgrades, nil, holding(readWrite, Token{Role: "node", RevokedAt: time.Now()}, Token{Role: "operator"}), true},
		"an admin without a token":   {upgrades, nil, holding(admin, Token{Role: "node"}), false},
		"a reader without a token":   {upgrades, nil, holding(readWrite), true},
	} {
		t.Run(name, func(t *testing.T) {
			v := readWritePolicy(rules(t, "token"), test.policy).judge(asking(t, 1, test.request), test.in)
			if v.admits() != test.ok {
				t.Errorf("rule %q, why %q", v.rule, v.why)
			}
		})
	}
}

func TestPolicyWithoutGroundIsRefused(t *testing.T) {
	for name, test := range map[string]struct {
		rule, mode, version string
		ok                  bool
	}{
		"token on token":           {"token", "token", "2026.9.6", true},
		"token on password":        {"token", "password", "2026.9.6", true},
		"token on none":            {"token", "none", "2026.9.6", false},
		"token on trusted-proxy":   {"first+token", "trusted-proxy", "2026.9.6", false},
		"token on who knows":       {"token", "", "2026.9.6", false},
		"local on 2026.8.2":        {"local", "none", "2026.8.2", true},
		"local on 2026.5.28":       {"local", "token", "2026.5.28", false},
		"local on a backport":      {"local", "token", "2026.7.35", false},
		"local on who knows":       {"local", "token", "dev", false},
		"cidr on anything":         {"cidr:10.0.0.0/8", "none", "", true},
		"first on trusted-proxy":   {"first", "trusted-proxy", "", true},
		"local in a rule of three": {"first+local+cidr:::/0", "token", "2026.2.26", false},
	} {
		t.Run(name, func(t *testing.T) {
			err := readWritePolicy(rules(t, test.rule), nil).check(test.mode, test.version)
			var refused *PolicyError
			if (err == nil) != test.ok || err != nil && (!errors.As(err, &refused) || refused.Hint() == "") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func FuzzParseRule(f *testing.F) {
	for _, text := range []string{"token", "first+cidr:10.0.0.0/8", "cidr:::/0", "local+", "cidr:::ffff:1.2.3.4/120", "cidr:fe80::1%x/64"} {
		f.Add(text, "192.0.2.1")
	}
	f.Fuzz(func(t *testing.T, text, remote string) {
		rule, err := ParseRule(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Fatalf("not one line: %q", err)
			}
			return
		}
		again, err := ParseRule(rule.String())
		if err != nil || again.String() != rule.String() {
			t.Fatalf("%q reads back as %q, %v", rule, again, err)
		}
		request := asking(t, 1, func(r *Request) { r.RemoteIP = remote })
		if v := readWritePolicy([]Rule{rule}, nil).judge(request, situation{firstDone: true}); v.admits() && rule.Has(FirstOperator) {
			t.Fatal("a second first operator")
		}
	})
}
