package gateway

import (
	"cmp"
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"hash/fnv"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const defaultPort = 18789

// Listen is where the gateway will listen.
type Listen struct {
	Bind     string // loopback, lan, tailnet, auto or custom, by flag, configuration or default
	Host     string // the address it binds: 127.0.0.1, 0.0.0.0, or one of this host's
	Dial     string // an address of this host on which it answers
	Port     int
	TLS      bool
	TLSFile  string   // its certificate, where it serves TLS
	Problems []string // values that the gateway passes over
}

// Loopback tells whether only this host can reach it.
func (l Listen) Loopback() bool {
	address, err := netip.ParseAddr(l.Host)
	return err == nil && address.IsLoopback()
}

// Address is Dial and Port, for a TCP connect.
func (l Listen) Address() string { return net.JoinHostPort(l.Dial, strconv.Itoa(l.Port)) }

// Takes tells whether the gateway could not listen while somebody else does, at a
// HOST:PORT of numbers.
func (l Listen) Takes(address string) bool {
	theirs, err := netip.ParseAddrPort(address)
	if err != nil || int(theirs.Port()) != l.Port {
		return false
	}
	ours, err := netip.ParseAddr(l.Host)
	return err != nil || ours.IsUnspecified() || theirs.Addr().IsUnspecified() || ours == theirs.Addr().Unmap()
}

// URL is the WebSocket address to probe it at from this host.
func (l Listen) URL() string {
	scheme := "ws"
	if l.TLS {
		scheme = "wss"
	}
	return scheme + "://" + l.Address()
}

// maxCertificate is the gateway's own bound (2026.9.6).
const maxCertificate = 64 << 10

// Certificate is the one (DER) that the gateway serves TLS with, as its file has it now:
// the first in there, as for the gateway and its CLI.
func (l Listen) Certificate() ([]byte, error) {
	data, err := readRegular(l.TLSFile, maxCertificate)
	if err != nil {
		return nil, err
	}
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type == "CERTIFICATE" {
			return block.Bytes, nil
		}
	}
	return nil, fmt.Errorf("cannot read %s: no PEM certificate in it", l.TLSFile)
}

// resolveListen decides as the gateway does. The default bind is loopback, but auto
// in a container from 2026.4.29, unless Tailscale serves it; auto is all addresses
// in a container and loopback elsewhere.
func resolveListen(command Command, config Config, vars variables, env Environment, release Release) Listen {
	autoIsOpen := env.Container && release.since(2026, 4, 29)
	usual := "loopback"
	if autoIsOpen && !tailscaleOn(command.Tailscale, config.Tailscale) {
		usual = "auto"
	}
	l := Listen{Bind: cmp.Or(command.Bind, config.Bind, usual), TLS: config.TLS, TLSFile: config.Certificate, Host: "127.0.0.1", Dial: "127.0.0.1"}
	switch l.Bind {
	case "lan":
		l.Host = "0.0.0.0"
	case "auto":
		if autoIsOpen {
			l.Host = "0.0.0.0"
		}
	case "tailnet":
		l.only(env.TailnetIPv4(), release)
	case "custom":
		l.only(config.CustomBindHost, release)
	}
	l.resolvePort(command, config, vars, release)
	return l
}

// only binds one address. Up to 2026.7.35 the gateway then answers on that one
// alone (measured on 2026.5.28), from 2026.8.1 on 127.0.0.1 as well (measured on
// 2026.8.2 and 2026.9.6).
func (l *Listen) only(host string, release Release) {
	address, err := netip.ParseAddr(host)
	if err != nil || !address.Is4() {
		return // no such address: loopback (tailnet), or a start that fails (custom)
	}
	l.Host = host
	if address.IsUnspecified() || release.Known && release.since(2026, 8, 1) {
		return
	}
	l.Dial = host
}

func tailscaleOn(flag, config string) bool {
	mode := cmp.Or(flag, config)
	return mode != "" && mode != "off"
}

// resolvePort: --port, OPENCLAW_GATEWAY_PORT, gateway.port, from 2026.8.1 a port
// of its own for each named profile, 18789.
func (l *Listen) resolvePort(command Command, config Config, vars variables, release Release) {
	if command.Port != 0 {
		l.Port = command.Port
		return
	}
	for _, name := range portVariables(release) {
		text := vars.trimmed(name)
		if text == "" {
			continue
		}
		if port, ok := parsePortVariable(text, release); ok {
			l.Port = port
			return
		}
		l.Problems = append(l.Problems, fmt.Sprintf("%s %.40q is not a port", name, text))
	}
	if config.Port != 0 {
		l.Port = config.Port
		return
	}
	profile := vars.trimmed("OPENCLAW_PROFILE")
	if release.since(2026, 8, 1) && profileName().MatchString(profile) && !strings.EqualFold(profile, "default") {
		l.Port = profilePort(profile)
		return
	}
	l.Port = defaultPort
}

func portVariables(release Release) []string {
	if release.since(2026, 3, 22) {
		return []string{"OPENCLAW_GATEWAY_PORT"}
	}
	return []string{"OPENCLAW_GATEWAY_PORT", "CLAWDBOT_GATEWAY_PORT"}
}

// parsePortVariable reads 18789, host:18789 and [::1]:18789; before 2026.4.29 any
// text that starts with digits.
func parsePortVariable(text string, release Release) (int, bool) {
	if !release.since(2026, 4, 29) {
		end := 0
		for end < len(text) && text[end] >= '0' && text[end] <= '9' {
			end++
		}
		return parsePort(text[:end])
	}
	if port, ok := parsePort(text); ok {
		return port, true
	}
	host, port, ok := strings.Cut(text, ":")
	if rest, bracket := strings.CutPrefix(text, "["); bracket {
		host, port, ok = strings.Cut(rest, "]:")
	}
	if !ok || host == "" {
		return 0, false
	}
	return parsePort(port)
}

// profilePort spreads named profiles over 20000 to 59999, as the gateway does.
func profilePort(profile string) int {
	hash := fnv.New32a()
	hash.Write([]byte(profile))
	return 20000 + int(hash.Sum32()%40000)
}

// PortTaken tells whether something accepts TCP connections at the address, "host:
// port". An address that gives no answer before the deadline is an error.
func PortTaken(ctx context.Context, address string) (bool, error) {
	connection, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	switch {
	case err == nil:
		connection.Close()
		return true, nil
	case errors.Is(err, syscall.ECONNREFUSED):
		return false, nil
	}
	return false, fmt.Errorf("cannot tell whether %s is taken: %w", address, err)
}

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
// for, sorted. operator.admin implies those that are left out (from 2026.2.24 on).
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

// BrowserScopes are those that the release's Control UI asks for in a browser, sorted:
// all of them but the secrets of talking, which only its owner's link has as well
// (2026.5.28, 2026.8.2, 2026.9.6).
func (r Release) BrowserScopes() []string {
	return slices.DeleteFunc(r.AskedScopes(), func(scope string) bool { return scope == "operator.talk.secrets" })
}

func (r Release) has(step scopeStep) bool { return !r.Known || r.Version.Compare(step.since) >= 0 }
