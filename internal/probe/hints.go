package probe

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

const (
	// Server side, configuration beats environment (all releases).
	hintTokenSources = "the gateway takes its token from --token, else gateway.auth.token in openclaw.json, else OPENCLAW_GATEWAY_TOKEN;" +
		" give the same one here as --gateway-token-file, OPENCLAW_GATEWAY_TOKEN_FILE or OPENCLAW_GATEWAY_TOKEN; where bootstrap run made one, that is" +
		" bootstrap/gateway-token in the gateway's state directory"
	hintProxy   = "add the proxy to gateway.trustedProxies, or connect without it"
	hintLockout = "do not retry in a loop: ten failures within a minute lock this address out for five (2026.5.28 and later)"
)

// maxSkew is what gateways from 2026.2.24 on allow; older ones ten minutes.
const maxSkew = 2 * time.Minute

func (o Options) command(name string, arguments ...string) string {
	if o.Command != nil {
		return o.Command(name, arguments...)
	}
	return strings.Join(append([]string{"bootstrap", name}, arguments...), " ")
}

func (o Options) hintSeed() string {
	return o.command("seed") + "   (where the gateway's state directory is; then probe again)"
}

// hintStatus instead of "openclaw devices list", which wants the gateway's token.
func (o Options) hintStatus() string {
	return o.command("status") + "   (where the gateway's state directory is) shows who is paired"
}

func (o Options) hintWait() string {
	return "wait for a gateway that is starting with: " + o.command("probe", "--wait", "120s")
}

func refusalHints(o Options, outcome Outcome, refusal *protocol.Refusal) []string {
	switch outcome {
	case NotPaired:
		return notPairedHints(o, refusal)
	case UpgradeWanted:
		return upgradeHints(o, refusal)
	case GatewayAuth:
		return gatewayAuthHints(refusal)
	case RateLimited:
		return rateLimitHints(refusal.RetryAfterMs)
	case ProtocolMismatch:
		return protocolHints(refusal)
	case DeviceAuth:
		return deviceAuthHints(refusal)
	case TLSOrOrigin:
		return []string{"something between here and the gateway adds an Origin header, which this program never sends: take it out of the proxy"}
	case StillStarting:
		if o.Wait == 0 {
			return []string{o.hintWait()}
		}
		return []string{"give it longer with --wait, and look at the gateway's log"}
	}
	return nil
}

func notPairedHints(o Options, refusal *protocol.Refusal) []string {
	switch {
	case refusal.Kind == protocol.InternalClose:
		return []string{
			"the gateway's log names the fault; known causes: in devices/paired.json a token without scopes (every release)" +
				" or text that is not JSON (2026.4.29 and later), a database locked for seconds (2026.8.1 and later)",
			o.command("seed") + "   (where the state directory is) says what is wrong with the store, and where",
		}
	case refusal.Kind == protocol.DeviceRequired:
		return []string{
			"every auth mode answers so to a client without a device, none included (2026.5.28, 2026.9.6)",
			"prove a device instead: " + o.command("probe", "--auth=device"),
		}
	case refusal.RequestID != "":
		return []string{approve(refusal.RequestID), o.hintSeed()}
	case refusal.Kind == protocol.NotPaired:
		return []string{o.hintStatus(), o.hintSeed()}
	}
	hints := []string{o.hintSeed(), o.hintStatus()}
	if len(o.Scopes) > 0 {
		hints = append(hints, "old gateways (2026.2.26) answer the same when a paired device asks for more scopes than it has")
	}
	return append(hints, "no pairing request is pending after this; "+o.command("probe", "--auth=shared")+" makes one, or on loopback pairs the device at once")
}

func upgradeHints(o Options, refusal *protocol.Refusal) []string {
	var hints []string
	if refusal.RequestID != "" {
		hints = append(hints, approve(refusal.RequestID))
	}
	switch refusal.Kind {
	case protocol.ScopeUpgrade, protocol.TokenScope:
		fewer := "ask for fewer scopes"
		if len(refusal.ApprovedScopes) > 0 {
			fewer = "ask for no more than is approved: " + strings.Join(refusal.ApprovedScopes, ",")
		}
		hints = append(hints, fewer)
	case protocol.MetadataUpgrade:
		hints = append(hints, "connect with the platform and device family that were approved")
	case protocol.RoleUpgrade:
		hints = append(hints, "an entry without an active token for the role is refused so, too (2026.4.5 and later): "+o.hintSeed())
	}
	return hints
}

func gatewayAuthHints(refusal *protocol.Refusal) []string {
	if refusal.Kind == protocol.AuthChanged {
		return []string{"try again: its configuration was just reloaded"}
	}
	if refusal.Kind == protocol.Bridge {
		return []string{"a bridge answers at this URL: it signs for clients without a device, at the path /NAME, for the bridge token of that client; a client with a device connects to the gateway itself"}
	}
	if strings.Contains(refusal.Said(), "proxy client attribution") {
		return []string{hintProxy}
	}
	if refusal.Kind == protocol.AuthSetup {
		return []string{"another token does not help: look at gateway.auth in the gateway's openclaw.json"}
	}
	// 2026.2.17 says "device token mismatch" of a wrong gateway token, too.
	return []string{hintTokenSources, hintLockout}
}

func rateLimitHints(retryAfterMs int64) []string {
	wait := cmp.Or(time.Duration(retryAfterMs)*time.Millisecond, 5*time.Minute)
	return []string{
		fmt.Sprintf("wait %s without any attempt from this address; the right token is refused as well until then", wait.Round(time.Second)),
		"then find the client that keeps failing: the gateway's log names its address",
	}
}

func protocolHints(refusal *protocol.Refusal) []string {
	switch {
	case refusal.Kind == protocol.Schema:
		return []string{"this release does not know a value that was sent: check role, scopes, client id and client mode"}
	case refusal.ExpectedProtocol > 0:
		return []string{fmt.Sprintf("the gateway wants protocol %d, this program speaks %d to %d: update the older of the two",
			refusal.ExpectedProtocol, protocol.MinProtocol, protocol.MaxProtocol)}
	}
	return []string{fmt.Sprintf("this program speaks protocol %d to %d: update it or the gateway", protocol.MinProtocol, protocol.MaxProtocol)}
}

func deviceAuthHints(refusal *protocol.Refusal) []string {
	offset := refusal.ClockOffset
	expired := strings.Contains(refusal.Said(), "expired")
	switch {
	case offset.Abs() >= maxSkew:
		return []string{clockWords(offset) + ": set it right; the gateway allows two minutes"}
	case expired:
		return []string{clockWords(offset) + ": the signature took too long to arrive, or a clock was just set; try again"}
	}
	return []string{"the device identity does not fit its signature: bootstrap identity show   names what is wrong with it"}
}

func approve(requestID string) string {
	return "openclaw devices approve " + requestID + "   (inside the gateway's container, within five minutes)"
}

func transportHints(failed *protocol.TransportError) []string {
	switch failed.Kind {
	case protocol.TLS:
		return tlsHints(failed)
	case protocol.HTTP:
		return httpHints(failed)
	case protocol.Name:
		return []string{"check the host name in the gateway URL; in a container it is the service's name"}
	case protocol.Refused:
		return []string{"check host and port; a gateway with --bind loopback answers only inside its own container"}
	case protocol.Lost:
		return []string{"if the gateway serves TLS, its URL starts with wss://"}
	case protocol.Foreign:
		return []string{"stop what listens at that port (ss -ltnp), or give the gateway another one"}
	case protocol.NotGateway:
		return []string{"something else listens there: check the port"}
	}
	return nil
}

func tlsHints(failed *protocol.TransportError) []string {
	var pin *protocol.PinError
	var unverified *tls.CertificateVerificationError
	switch {
	case errors.As(failed, &pin) && pin.Own:
		return []string{"if its certificate was renewed, start the gateway again; else something else answers there"}
	case errors.As(failed, &pin):
		return []string{"if the gateway's certificate was renewed, and only then, pin the new one: " + pin.Got}
	case errors.As(failed, &unverified):
		return []string{"trust its issuer with --ca-file, or pin the certificate's fingerprint"}
	}
	return []string{"if the gateway serves no TLS, its URL starts with ws://"}
}

func httpHints(failed *protocol.TransportError) []string {
	switch {
	case failed.Location != "":
		return []string{"the answer points to " + failed.Location + ": use that address, with ws:// or wss://"}
	case strings.Contains(failed.Body, "proxy_attribution_required"):
		return []string{hintProxy}
	case failed.Status == 429:
		return rateLimitHints(0)
	case failed.Status == 401, failed.Status == 403, failed.Status == 407:
		return []string{"a proxy in front of the gateway wants to be satisfied first, or the gateway refuses the proxy"}
	}
	return []string{"check the URL's port and path: what answers there speaks HTTP but is no gateway"}
}
