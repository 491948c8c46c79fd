package status

import (
	"github.com/reflectt/bootstrap/internal/entrypoint"
	"github.com/reflectt/bootstrap/internal/hooks"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

// hookFindings say which hooks failed at their last start, have not run, or never do.
func hookFindings(t *pairing.Target) (out []Finding) {
	set, err := entrypoint.HooksBelow(t.Settings.Hooks)
	if err != nil {
		return []Finding{{What: err.Error(), Fix: pairing.HintOf(err), Err: err}}
	}
	for _, file := range set.PassedOver {
		out = append(out, Finding{What: "no hook: " + file.Path + ": " + file.Reason, Fix: file.Hint})
	}
	for _, hook := range append(set.PreStart, set.Proven...) {
		marks := entrypoint.MarksOf(t, hook.Stage)
		if why := marks.Failure(hook); why != "" {
			out = append(out, Finding{What: "hook " + entrypoint.NameOfHook(hook) + " failed: " + why, Fix: "read its lines in the log of bootstrap run; it runs again at the next start"})
			continue
		}
		if ran, err := marks.Has(hook); hook.Stage == hooks.Proven && t.Settings.ProvenHooks == settings.Once && err == nil && !ran {
			out = append(out, Finding{What: "hook " + entrypoint.NameOfHook(hook) + " has not run on this state directory", Fix: "bootstrap run runs it, once the pairing is proven"})
		}
	}
	return out
}
