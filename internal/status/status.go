// Package status owns what can be said of a state directory without changing it: how the
// devices in the store differ from those that the settings want, what else is wrong,
// and the command that fixes each. It changes no pairing, prints nothing, and knows no
// exit code.
package status

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/reflectt/bootstrap/internal/gateway"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
)

// Report is everything that can be said without changing a pairing or asking a
// gateway. Its JSON is a contract; no field holds a secret.
type Report struct {
	StateDir string `json:"stateDir"`
	Config   string `json:"config"`
	Release  string `json:"release"`
	Package  string `json:"package,omitempty"`
	// Store that counts, and why it is that one.
	Store     seed.Kind `json:"store,omitempty"`
	StorePath string    `json:"storePath,omitempty"`
	StoreWhy  string    `json:"storeWhy,omitempty"`
	DeviceID  string    `json:"deviceId,omitempty"`
	// URL of the gateway, and whether something answers there.
	URL      string `json:"url"`
	Running  bool   `json:"running"`
	Auth     string `json:"auth"`
	AuthFrom string `json:"authFrom,omitempty"`
	Lease    *Lease `json:"lease,omitempty"`
	// Links are those for browsers that could still be used.
	Links    []seed.Link `json:"links,omitempty"`
	Devices  []Device    `json:"devices"`
	Findings []Finding   `json:"findings"`
}

// Lease is the owner lease of a gateway.
type Lease struct {
	Host    string    `json:"host"`
	PID     int       `json:"pid"`
	Expires time.Time `json:"expires"`
	Holder  string    `json:"holder"`
}

// Device is one that is wanted or there.
type Device struct {
	Name     string   `json:"name,omitempty"`
	DeviceID string   `json:"deviceId"`
	Drift    Drift    `json:"drift"`
	Label    string   `json:"label,omitempty"`
	Roles    []string `json:"roles,omitempty"`
	Scopes   []string `json:"scopes,omitempty"`
	Wanted   []string `json:"wanted,omitempty"`
}

// Finding is something to fix, with the command that fixes it.
type Finding struct {
	What string `json:"what"`
	Fix  string `json:"mend,omitempty"`
	// Code is the exit code of Err, which the caller knows; 0 for advice.
	Code int `json:"code,omitempty"`
	// Err is what a command that needs this would fail with; nil for advice.
	Err error `json:"-"`
}

// errUnusable is the error of a store that cannot be worked with, for [Finding.Err].
type errUnusable struct{}

func (errUnusable) Error() string { return "the pairing store is unusable" }
func (errUnusable) Class() string { return "store" }

// Of makes the report of a target; what cannot be read becomes a finding.
func Of(ctx context.Context, t *pairing.Target, now time.Time) Report {
	out := Report{
		StateDir: t.StateDir, Config: t.ConfigPath, Release: t.Release.String(), Package: t.PackageDir,
		URL: t.ShownURL(), Running: t.Answers(ctx), Auth: string(t.Auth.Mode), AuthFrom: authFrom(t),
		Devices: []Device{}, Findings: []Finding{},
	}
	out.addStore(ctx, t, now)
	out.Findings = append(out.Findings, settingFindings(now, t)...)
	out.Findings = append(out.Findings, publicFinding(ctx, t, out.Running)...)
	out.Findings = append(out.Findings, hookFindings(t)...)
	out.Findings = append(out.Findings, rightsFindings(t.StateDir)...)
	return out
}

// addStore adds what the store and the ledger tell; nothing where a gateway boots.
func (out *Report) addStore(ctx context.Context, t *pairing.Target, now time.Time) {
	fail := func(err error) bool {
		if err != nil {
			out.Findings = append(out.Findings, Finding{What: err.Error(), Fix: pairing.HintOf(err), Err: err})
		}
		return err != nil
	}
	leaves := func(err error) bool {
		boots := errors.As(err, new(*seed.BootingError))
		if boots {
			out.Findings = append(out.Findings, Finding{
				What: err.Error() + ": its database is left alone until then", Fix: "wait for it with: " + t.OwnCommand("probe", "--wait", "120s"), Err: err,
			})
		}
		return boots
	}
	options := t.HastyOptions()
	credentials, err := seed.ReadCredentials(ctx, options)
	if leaves(err) {
		return
	}
	if !fail(err) && !credentials.Identity.IsZero() {
		out.DeviceID = credentials.Identity.DeviceID()
	}
	survey, err := seed.Take(ctx, options)
	if leaves(err) {
		return
	}
	if err == nil || !isStoreError(err) || len(out.Findings) == 0 {
		fail(err)
	}
	if err == nil {
		out.Store, out.StorePath, out.StoreWhy = survey.Store.Kind, survey.Store.Path, survey.Store.Why
		wanted, err := t.Wanted(credentials.Identity)
		var keyless []string
		if !fail(err) && len(out.Findings) == 0 { // else a key may be there, and could not be read
			keyless = t.Keyless(wanted)
		}
		out.Devices = append(out.Devices, compare(wanted, keyless, survey)...)
		if err := t.MayPair(); err != nil { // what "seed" would say to the fixes of a drift
			out.Findings = append(out.Findings, Finding{What: err.Error(), Fix: pairing.HintOf(err)})
		} else {
			out.Findings = append(out.Findings, DriftFindings(t, out.Devices)...)
		}
		out.Findings = append(out.Findings, localTokenFinding(t, survey)...)
	}
	if err == nil {
		out.Links, err = seed.Links(ctx, options, now)
		if leaves(err) {
			return
		}
		if err != nil { // a table that nothing else needs
			out.Findings = append(out.Findings, Finding{What: err.Error(), Fix: pairing.HintOf(err)})
		}
	}
	lease, held, err := seed.ReadLease(ctx, options)
	if err == nil && held {
		out.Lease = newLease(lease)
	}
	if other, found := FindRunning(ctx, t); found {
		out.Findings = append(out.Findings, other.finding(t))
	}
}

// authFrom is where the gateway's secret comes from, as a person would look for
// it; empty where there is none.
func authFrom(t *pairing.Target) string {
	switch source := t.Auth.Source; {
	case !t.Auth.Secret.IsSet() && madeToken(t) != "":
		return "made by bootstrap run: file " + madeToken(t)
	case !t.Auth.Secret.IsSet():
		return ""
	case t.Settings.GatewayTokenFile != "" && source == gateway.Source{Kind: gateway.SourceEnv, Name: "OPENCLAW_GATEWAY_TOKEN"}:
		return "file " + t.Settings.GatewayTokenFile // read into the variable
	case t.Settings.GatewayPasswordFile != "" && source == gateway.Source{Kind: gateway.SourceEnv, Name: "OPENCLAW_GATEWAY_PASSWORD"}:
		return "file " + t.Settings.GatewayPasswordFile
	default:
		return source.String()
	}
}

func newLease(lease seed.Lease) *Lease {
	out := &Lease{Host: lease.Host, PID: lease.PID, Expires: lease.Expires, Holder: "unknown"}
	hostname, err := os.Hostname()
	if err != nil {
		return out
	}
	switch lease.Holder(hostname, time.Now()) {
	case seed.HolderAlive:
		out.Holder = "alive"
	case seed.HolderGone:
		out.Holder = "gone"
	}
	return out
}

// isStoreError tells an error that is about the pairing store.
func isStoreError(err error) bool {
	var classed interface{ Class() string }
	return errors.As(err, &classed) && classed.Class() == "store"
}
