package cli

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/reflectt/bootstrap/internal/pairing"
)

// browserFindings are what would keep the browsers out that the settings speak of. It
// reads the configuration alone; what the gateway takes by no argument or variable
// (2026.9.6) has to be written there, by whom it belongs to.
func browserFindings(t *pairing.Target) (out []finding) {
	var origins, proxies []string
	for _, wanted := range t.Settings.Origins {
		if !slices.ContainsFunc(allowedOrigins(t), func(have string) bool {
			return have == "*" || strings.EqualFold(strings.TrimSuffix(have, "/"), wanted.Origin())
		}) {
			origins = append(origins, wanted.Origin())
		}
	}
	for _, wanted := range t.Settings.TrustedProxies {
		if !slices.Contains(t.Config.TrustedProxies, wanted) {
			proxies = append(proxies, wanted)
		}
	}
	if len(origins) > 0 {
		out = append(out, finding{
			What: "the gateway's configuration allows no browser at " + strings.Join(origins, ", "),
			Mend: addToConfig(t, origins, nil),
		})
	}
	if len(proxies) > 0 {
		out = append(out, finding{
			What: "the gateway's configuration trusts no proxy at " + strings.Join(proxies, ", "),
			Mend: addToConfig(t, nil, proxies),
		})
	}
	return out
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

// addToConfig is what has to stand in openclaw.json, as a whole.
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
