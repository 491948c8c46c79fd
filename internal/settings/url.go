package settings

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// URL is where a gateway answers.
type URL string

// UnmarshalText checks a ws:// or wss:// URL; http and https are understood. A
// URL is never repeated in an error, but for a bare HOST:PORT: people put
// passwords into them.
func (u *URL) UnmarshalText(text []byte) error {
	if err := checkWriting(string(text)); err != nil {
		return err
	}
	parsed, err := url.Parse(string(text))
	switch {
	case err != nil:
		return errors.New("that is not a URL")
	case parsed.User != nil:
		return errors.New("a URL with a name or password in it is not taken: use --gateway-token-file")
	}
	switch parsed.Scheme {
	case "http":
		parsed.Scheme = "ws"
	case "https":
		parsed.Scheme = "wss"
	case "ws", "wss":
	default:
		return errors.New("it does not start with ws:// or wss://")
	}
	if parsed.Hostname() == "" {
		return errors.New("it names no host")
	}
	if strings.ContainsFunc(parsed.String(), func(r rune) bool { return !strings.ContainsRune(urlCharacters, r) }) {
		// It goes into env files that a shell reads.
		return errors.New("it has a character that would need quoting in an env file")
	}
	*u = URL(parsed.String())
	return nil
}

// WebURL is where a browser finds the Control UI: http:// or https://, with the path
// of gateway.controlUi.basePath where there is one.
type WebURL string

// UnmarshalText checks it as [URL] does; ws and wss are understood.
func (u *WebURL) UnmarshalText(text []byte) error {
	var gateway URL
	if err := gateway.UnmarshalText(text); err != nil {
		return errors.New(strings.NewReplacer("ws://", "http://", "wss://", "https://").Replace(err.Error()))
	}
	if strings.ContainsAny(string(gateway), "?#") {
		return errors.New("a query or fragment does not belong to the address")
	}
	*u = WebURL("http" + strings.TrimPrefix(string(gateway), "ws"))
	return nil
}

// Origin is what a browser there sends as its Origin.
func (u WebURL) Origin() string {
	scheme, rest, _ := strings.Cut(string(u), "://")
	host, _, _ := strings.Cut(rest, "/")
	host = strings.TrimSuffix(strings.ToLower(host), map[string]string{"http": ":80", "https": ":443"}[scheme])
	return scheme + "://" + host
}

// Networks are addresses and networks of proxies.
type Networks []string

// UnmarshalText reads them with commas between them. One that holds every address
// would let anybody say where a request comes from.
func (n *Networks) UnmarshalText(text []byte) error {
	for _, item := range splitList(string(text)) {
		prefix, err := netip.ParsePrefix(item)
		if _, plain := netip.ParseAddr(item); plain == nil {
			err = nil
		} else if err == nil && prefix.Bits() == 0 {
			return fmt.Errorf("%q is everybody: name the proxy's own address or network", item)
		}
		if err != nil {
			return fmt.Errorf("%q is not an address or a network such as 172.18.0.0/16", item)
		}
		*n = append(*n, item)
	}
	return nil
}

// Socket is the same place for a WebSocket.
func (u WebURL) Socket() URL { return URL("ws" + strings.TrimPrefix(string(u), "http")) }

const urlCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789:/._~%=?,@+[]-"

// hostAndPort is all that an error may repeat of a URL.
var hostAndPort = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}$`)
})

// checkWriting tells how to write what is often written otherwise.
func checkWriting(text string) error {
	if strings.Trim(text, `"'`) != text {
		return errors.New("it has quotes around it: leave them out, as docker --env-file takes them for a part of the value")
	}
	scheme, rest, given := strings.Cut(text, "://")
	if !given {
		scheme, rest = "ws", text
	}
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if bracketed := inBrackets(rest); bracketed != "" {
		return errors.New("an IPv6 address needs brackets: write " + scheme + "://" + bracketed)
	}
	if !given && hostAndPort().MatchString(rest) {
		return errors.New("it does not start with ws:// or wss://: write ws://" + rest)
	}
	return nil
}

// inBrackets is an IPv6 address without brackets, with a port behind it or not,
// as it has to be written; empty where it is something else. Go would dial
// ::1:18789 as one name.
func inBrackets(authority string) string {
	isIPv6 := func(text string) bool {
		address, err := netip.ParseAddr(text)
		return err == nil && address.Is6() && address.Zone() == ""
	}
	colon := strings.LastIndexByte(authority, ':')
	if colon < 0 {
		return ""
	}
	if _, err := strconv.ParseUint(authority[colon+1:], 10, 16); err == nil && isIPv6(authority[:colon]) {
		return "[" + authority[:colon] + "]" + authority[colon:]
	}
	if isIPv6(authority) {
		return "[" + authority + "]"
	}
	return ""
}
