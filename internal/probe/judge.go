package probe

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/protocol"
)

// judgeError decides about the last attempt that failed.
func (r *runner) judgeError(err error) Verdict {
	if refusal, is := errors.AsType[*protocol.Refusal](err); is {
		return judgeRefusal(r.opts, refusal)
	}
	if transport, is := errors.AsType[*protocol.TransportError](err); is {
		return r.judgeTransport(transport)
	}
	return Verdict{Outcome: Unreachable, Message: err.Error()}
}

func judgeRefusal(o Options, refusal *protocol.Refusal) Verdict {
	v := Verdict{
		Outcome:       outcomeOf(o.Auth, refusal.Kind),
		Refusal:       refusal,
		RequestID:     refusal.RequestID,
		ClockOffsetMs: refusal.ClockOffset.Milliseconds(),
	}
	v.Message = message(v.Outcome, refusal)
	v.Hints = refusalHints(o, v.Outcome, refusal)
	return v
}

// outcomeOf maps a refusal. With AuthDevice the only credential shown is the
// device token, so a refusal of "the token" is about the pairing: measured on
// 2026.2.26, 2026.5.28, 2026.8.2 and 2026.9.6, an unknown device, a removed
// one and a known one with a wrong token all get AUTH_TOKEN_MISMATCH, and
// AUTH_PASSWORD_MISSING or _MISMATCH in password mode.
func outcomeOf(auth Auth, kind protocol.RefusalKind) Outcome {
	switch kind {
	case protocol.NotPaired, protocol.DeviceRequired, protocol.InternalClose:
		return NotPaired
	case protocol.RoleUpgrade, protocol.ScopeUpgrade, protocol.MetadataUpgrade, protocol.TokenScope:
		return UpgradeWanted
	case protocol.AuthToken, protocol.DeviceToken:
		if auth == AuthDevice {
			return NotPaired
		}
		return GatewayAuth
	case protocol.AuthSetup, protocol.AuthChanged, protocol.Bridge:
		return GatewayAuth
	case protocol.RateLimited:
		return RateLimited
	case protocol.DeviceAuth:
		return DeviceAuth
	case protocol.Origin:
		return TLSOrOrigin
	case protocol.Starting:
		return StillStarting
	}
	// Protocol, Schema, and refusals that a later release has invented.
	return ProtocolMismatch
}

func message(outcome Outcome, refusal *protocol.Refusal) string {
	said := cmp.Or(refusal.Said(), fmt.Sprintf("no reason given, close code %d", refusal.CloseCode))
	switch {
	case refusal.Kind == protocol.InternalClose:
		return fmt.Sprintf("the gateway closed the connection without a word (%d): it probably cannot read its pairing store", refusal.CloseCode)
	case refusal.Kind == protocol.DeviceRequired:
		return "the gateway wants a device identity: " + said
	case refusal.Kind == protocol.TokenScope:
		return "paired, but the device token has fewer scopes than asked for: " + said
	case outcome == NotPaired && refusal.Kind != protocol.NotPaired:
		return "the gateway does not know this device with this token: it was never paired, was removed, or its token was replaced (" + said + ")"
	case outcome == NotPaired:
		return "not paired: " + said
	case outcome == UpgradeWanted:
		return "paired, but a change awaits approval: " + said
	case outcome == StillStarting:
		return "the gateway is not ready yet: " + said
	case refusal.Kind == protocol.Bridge:
		return "refused by a bridge: " + strings.TrimPrefix(said, "bridge: ")
	case refusal.Kind == protocol.AuthChanged:
		return "the gateway's authentication changed during the handshake: " + said
	}
	return "refused by the gateway: " + said
}

func (r *runner) judgeTransport(failed *protocol.TransportError) Verdict {
	v := Verdict{Outcome: Unreachable, URL: failed.URL, Message: failed.Error(), Hints: transportHints(failed)}
	switch failed.Kind {
	case protocol.TLS:
		v.Outcome = TLSOrOrigin
	case protocol.HTTP:
		v.Outcome = httpOutcome(failed.Status)
		if failed.Body != "" && v.Outcome == GatewayAuth {
			v.Message += ": " + failed.Body
		}
	}
	if v.Outcome == Unreachable && r.sawStarting {
		v.Outcome = StillStarting
		v.Message = "the gateway began to start but was not ready in time: " + v.Message
	}
	if r.opts.Wait == 0 && r.passes(failed) {
		v.Hints = append(v.Hints, r.opts.hintWait())
	}
	return v
}

// httpOutcome judges an answer to the upgrade. 2026.8.2 and later answer 403
// "proxy_attribution_required" where a proxy is not in gateway.trustedProxies.
func httpOutcome(status int) Outcome {
	switch status {
	case 401, 403, 407:
		return GatewayAuth
	case 429:
		return RateLimited
	}
	return Unreachable
}

// clockWords says how far the clocks are apart.
func clockWords(offset time.Duration) string {
	side := "behind"
	if offset < 0 {
		side, offset = "ahead of", -offset
	}
	precision := 100 * time.Millisecond
	if offset >= time.Minute {
		precision = time.Second
	}
	return fmt.Sprintf("this machine's clock is %s %s the gateway's", offset.Round(precision), side)
}

// Judge is the verdict on an error of [protocol.Dial] or [protocol.Handshake]
// that somebody else has met, who showed a token as auth says.
func Judge(auth Auth, url string, err error) Verdict {
	r := runner{opts: Options{Auth: auth, URL: url}.withDefaults(), now: time.Now, attempts: 1}
	r.start = r.now()
	return r.finish(r.judgeError(err))
}
