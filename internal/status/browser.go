package status

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/settings"
)

// AskAsBrowser asks the gateway whether a browser gets in, and adds what to do about its answer.
func AskAsBrowser(ctx context.Context, t *pairing.Target, page settings.WebURL) probe.Verdict {
	at, _ := url.Parse(string(page)) // checked
	token, password := t.SharedSecret()
	ask := probe.Page{
		URL: string(page.Socket()), Origin: page.Origin(), Direct: ownAddress(t), TLS: t.TLS(),
		Token: token, Password: password, Version: t.Version, Loopback: isLocalName(at.Hostname()),
		NoKey: t.Release.NeedsSecurePage() && !IsSecure(page), NoLinks: !t.Release.HasLinks(),
	}
	verdict := probe.Browser(ctx, ask)
	verdict.Hints = append(verdict.Hints, browserHints(t, page, verdict)...)
	return verdict
}

// browserHints are what to do about what a browser at a page meets.
func browserHints(t *pairing.Target, page settings.WebURL, verdict probe.Verdict) (out []string) {
	switch verdict.Outcome {
	case probe.TLSOrOrigin:
		switch {
		case verdict.Refusal == nil:
		case t.Release.NeedsSecurePage() && !IsSecure(page):
			// Allowing that origin would lead nowhere.
			return []string{"open it " + secureWays()}
		default:
			if at, err := url.Parse(string(page)); err == nil && isLocalName(at.Hostname()) {
				out = append(out, "publish the port as it is: the browser's has to be "+strconv.Itoa(t.Listen.Port))
			}
			out = append(out, addToConfig(t, []string{page.Origin()}, nil))
		}
	case probe.GatewayAuth:
		if strings.Contains(verdict.Message, "proxy") {
			out = append(out, addToConfig(t, nil, []string{"ADDRESS-OF-THE-PROXY"}))
		}
	case probe.NotPaired:
		if t.Release.HasLinks() {
			out = append(out, t.OwnCommand("link", "--url", string(page)))
		}
		out = append(out, t.OwnCommand("approve", "--list"))
	}
	if !t.Release.Known && !IsSecure(page) && (verdict.Outcome == probe.NotPaired || verdict.Outcome == probe.TLSOrOrigin) {
		out = append(out, "where the gateway is older than 2026.8.1, open it "+secureWays())
	}
	return out
}

// IsSecure tells whether the page is a secure context to its browser, which has its
// WebCrypto there alone.
func IsSecure(page settings.WebURL) bool {
	at, err := url.Parse(string(page))
	return err == nil && (at.Scheme == "https" || isLocalName(at.Hostname()))
}

// secureWays are what makes a page one.
func secureWays() string {
	return "by https, through a reverse proxy, or on localhost: over plain http its page makes no device key elsewhere"
}

// ownAddress is where the gateway is reached from outside, as a port that is published
// reaches it; empty where it does not listen there, for somebody else may. That is asked
// of the kernel: it is often in the gateway's command alone.
func ownAddress(t *pairing.Target) string {
	addresses, _ := net.InterfaceAddrs()
	for _, address := range addresses {
		prefix, err := netip.ParsePrefix(address.String())
		if err == nil && prefix.Addr().Is4() && prefix.Addr().IsGlobalUnicast() {
			there := t.Listen
			there.Dial = prefix.Addr().String()
			if there.Host != there.Dial && !gateway.ListensEverywhere(there.Port) {
				return ""
			}
			return there.URL()
		}
	}
	return ""
}

// isLocalName tells whether a browser means its own machine.
func isLocalName(host string) bool {
	address, err := netip.ParseAddr(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || err == nil && address.IsLoopback()
}

// contains tells whether an address or a network is within another one.
func contains(network, wanted string) bool {
	outer, outerErr := prefixOf(network)
	inner, innerErr := prefixOf(wanted)
	if outerErr != nil || innerErr != nil {
		return network == wanted
	}
	return outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())
}

func prefixOf(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		return address.Prefix(address.BitLen())
	}
	return netip.ParsePrefix(text)
}

// browserFindings are what would keep out the browsers of the settings. They come from
// the configuration alone: the gateway takes this by no argument or variable (2026.9.6),
// so the configuration's owner has to write it there.
func browserFindings(t *pairing.Target) (out []Finding) {
	var origins, insecure, proxies []string
	for _, wanted := range t.Settings.Origins {
		if t.Release.NeedsSecurePage() && !IsSecure(wanted) {
			insecure = append(insecure, wanted.Origin())
			continue
		}
		if !slices.ContainsFunc(allowedOrigins(t), func(have string) bool {
			return have == "*" || strings.EqualFold(strings.TrimSuffix(have, "/"), wanted.Origin())
		}) {
			origins = append(origins, wanted.Origin())
		}
	}
	for _, wanted := range t.Settings.TrustedProxies {
		// Early releases compare single addresses (openclaw#8552).
		if !slices.ContainsFunc(t.Config.TrustedProxies, func(have string) bool { return have == wanted || t.Release.HasLinks() && contains(have, wanted) }) {
			proxies = append(proxies, wanted)
		}
	}
	if len(insecure) > 0 {
		out = append(out, Finding{
			What: fmt.Sprintf("the Control UI of %s lets no browser in at %s", t.Release, strings.Join(insecure, ", ")),
			Fix:  "open it " + secureWays(),
		})
	}
	if len(origins) > 0 {
		out = append(out, Finding{
			What: "the gateway's configuration allows no browser at " + strings.Join(origins, ", "),
			Fix:  addToConfig(t, origins, nil),
		})
	}
	if len(proxies) > 0 {
		out = append(out, Finding{
			What: "the gateway's configuration trusts no proxy at " + strings.Join(proxies, ", "),
			Fix:  addToConfig(t, nil, proxies),
		})
	}
	return out
}

// publicFinding is the gateway's refusal of browsers at BOOTSTRAP_PUBLIC_URL. A new one
// that has to be approved is no finding.
func publicFinding(ctx context.Context, t *pairing.Target, running bool) []Finding {
	if t.Settings.PublicURL == "" || !running {
		return nil
	}
	verdict := AskAsBrowser(ctx, t, t.Settings.PublicURL)
	if verdict.Outcome == probe.OK || verdict.Outcome == probe.NotPaired {
		return nil
	}
	return []Finding{{What: verdict.Message, Fix: verdict.Hint()}}
}

// allowedOrigins are those of the configuration, else those that the gateway takes by
// itself where it does not listen on loopback alone (2026.2.26 and later).
func allowedOrigins(t *pairing.Target) []string {
	if len(t.Config.AllowedOrigins) > 0 {
		return t.Config.AllowedOrigins
	}
	port := strconv.Itoa(t.Listen.Port)
	return []string{"http://localhost:" + port, "http://127.0.0.1:" + port}
}

// addToConfig is what openclaw.json needs, as a whole.
func addToConfig(t *pairing.Target, origins, proxies []string) string {
	type section map[string]any
	gateway := section{}
	if len(origins) > 0 {
		gateway["controlUi"] = section{"allowedOrigins": slices.Concat(allowedOrigins(t), origins)}
	}
	if len(proxies) > 0 {
		gateway["trustedProxies"] = slices.Concat(t.Config.TrustedProxies, proxies)
	}
	text, _ := json.Marshal(section{"gateway": gateway}) // texts alone
	return "in " + t.ConfigPath + ": " + string(text) + "   then start the gateway again"
}
