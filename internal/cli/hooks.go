package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/reflectt/bootstrap/internal/atomicfile"
	"github.com/reflectt/bootstrap/internal/hooks"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/seed"
	"github.com/reflectt/bootstrap/internal/settings"
	"github.com/reflectt/bootstrap/internal/shell"
)

// usualHooks is where hooks are without being told.
const usualHooks = "/etc/bootstrap"

// hookGrace is how long a hook may take to end when it was told to. A command that
// a signal ends has [lastWork] in all.
const hookGrace = 5 * time.Second

// hookRest is how long the end of a hook's output is waited for, where something that
// it left running holds it open.
const hookRest = 2 * time.Second

// findHooks looks for what shall run before the gateway and once it is proven. A
// command that is no gateway's must start whatever lies there.
func (a *app) findHooks(t *pairing.Target) (hooks.Set, error) {
	set, err := hooksBelow(t.Settings.Hooks)
	if err == nil && len(set.Proven) > 0 && t.Settings.Handover == settings.Exec {
		err = &usageError{
			err:  fmt.Errorf("%s needs bootstrap to stay, so it does not go with --handover=exec", filepath.Dir(set.Proven[0].Path)),
			hint: "leave one of them out, or --hooks off",
		}
	}
	if err != nil && !t.Command.Understood {
		a.log.Warn().Err(err).Str("hint", hintOf(err)).Msg("no hook is run for this command, which is no gateway's")
		return hooks.Set{}, nil
	}
	for _, file := range set.PassedOver {
		a.log.Warn().Str("file", file.Path).Str("hint", file.Hint).Msg("no hook: " + file.Reason)
	}
	return set, err
}

func hooksBelow(dir string) (hooks.Set, error) {
	if dir == "off" {
		return hooks.Set{}, nil
	}
	if dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return hooks.Set{}, &usageError{err: fmt.Errorf("--hooks (BOOTSTRAP_HOOKS): %s is no directory that this user can read", dir), hint: "ls -ld " + shell.Quote(dir)}
		}
	} else {
		dir = usualHooks
	}
	set, err := hooks.Find(dir)
	if err != nil {
		return hooks.Set{}, &usageError{err: fmt.Errorf("--hooks (BOOTSTRAP_HOOKS): %w", err)}
	}
	return set, nil
}

// hookError says that a hook failed whose failure ends the start.
type hookError struct{ failure error }

func (e *hookError) Error() string { return e.failure.Error() + ", so the gateway is not started" }
func (e *hookError) ExitCode() int { return int(HookFailed) }
func (e *hookError) Unwrap() error { return e.failure }
func (e *hookError) Hint() string {
	return "read its lines above; to start the gateway all the same: --hook-failure=warn, or --hooks off"
}

// hookRunner runs a hook with the gateway's environment, and its output into the log.
func (a *app) hookRunner(t *pairing.Target, start hooks.Start) hooks.Runner {
	return hooks.Runner{
		Start: start, Env: t.Environ(), Timeout: t.Settings.HookTimeout, Grace: hookGrace, Rest: hookRest,
		Said: func(hook hooks.Hook, line string) {
			a.log.Info().Str("hook", nameOfHook(hook)).Str("line", line).Msg("hook says")
		},
	}
}

func nameOfHook(hook hooks.Hook) string { return string(hook.Stage) + "/" + hook.Name }

// runHook runs one, and says so.
func (a *app) runHook(ctx context.Context, runner hooks.Runner, hook hooks.Hook) error {
	started := time.Now()
	a.log.Info().Str("hook", nameOfHook(hook)).Str("at_most", runner.Timeout.String()).Msg("running a hook")
	err := runner.Run(ctx, hook)
	if err == nil {
		a.log.Info().Str("hook", nameOfHook(hook)).Str("took", time.Since(started).Round(10*time.Millisecond).String()).Msg("hook has ended")
	}
	return err
}

// preStart runs what comes before the gateway. A signal ends the hook that runs, and
// the start with it.
func (a *app) preStart(ctx context.Context, t *pairing.Target, list []hooks.Hook, signals *launch.Signals) error {
	if len(list) == 0 {
		return nil
	}
	ctx, done := signals.Context(ctx)
	runner := a.hookRunner(t, launch.RunJob)
	var failed error
	for _, hook := range list {
		err := a.runHook(ctx, runner, hook)
		if ctx.Err() != nil {
			break
		}
		a.noteHook(marksOf(t, hooks.PreStart), hook, err)
		if err != nil && t.Settings.HookFailure == settings.StopOnFailure && t.Command.Understood {
			failed = &hookError{failure: err}
			break
		}
		if err != nil {
			a.log.Warn().Msg(err.Error() + "; going on")
		}
	}
	if stopped := done(); stopped != nil {
		return stopped
	}
	return failed
}

// marksOf is where it is noted what became of a stage's hooks.
func marksOf(t *pairing.Target, stage hooks.Stage) hooks.Marks {
	return hooks.Marks{Dir: filepath.Join(seed.Dir(t.StateDir), strings.TrimSuffix(string(stage), ".d"))}
}

// noteHook notes for "bootstrap status" that a hook failed, or that it no longer does.
// It is not worth a start.
func (a *app) noteHook(marks hooks.Marks, hook hooks.Hook, failed error) {
	var err error
	switch {
	case failed != nil:
		err = marks.PutFailure(hook, a.now(), failed)
	case marks.Failure(hook) != "":
		err = marks.Drop(hook)
	}
	if err != nil {
		a.log.Warn().Str("hint", atomicfile.Mend(marks.Dir, err)).Msg(err.Error())
	}
}

// hookFindings say which hooks failed at their last start, have not run, or never do.
func (a *app) hookFindings(t *pairing.Target) (out []finding) {
	set, err := hooksBelow(t.Settings.Hooks)
	if err != nil {
		return []finding{{What: err.Error(), Mend: hintOf(err), Code: codeOf(err)}}
	}
	for _, file := range set.PassedOver {
		out = append(out, finding{What: "no hook: " + file.Path + ": " + file.Reason, Mend: file.Hint})
	}
	for _, hook := range append(set.PreStart, set.Proven...) {
		marks := marksOf(t, hook.Stage)
		if why := marks.Failure(hook); why != "" {
			out = append(out, finding{What: "hook " + nameOfHook(hook) + " failed: " + why, Mend: "read its lines in the log of bootstrap run; it runs again at the next start"})
			continue
		}
		if ran, err := marks.Has(hook); hook.Stage == hooks.Proven && t.Settings.ProvenHooks == settings.Once && err == nil && !ran {
			out = append(out, finding{What: "hook " + nameOfHook(hook) + " has not run on this state folder", Mend: "bootstrap run runs it, once the pairing is proven"})
		}
	}
	return out
}

// provenHooks run once the pairing is proven for the first time, beside the
// gateway; nil where there are none.
type provenHooks struct {
	*app
	t       *pairing.Target
	list    []hooks.Hook
	process *launch.Process

	begun sync.Once
	ended chan struct{} // nil until they have begun
	code  Code          // not OK where a failure shall end the gateway
}

// begin starts them; once more is nothing.
func (h *provenHooks) begin(ctx context.Context) {
	if h == nil || len(h.list) == 0 {
		return
	}
	h.begun.Do(func() {
		h.ended = make(chan struct{})
		go func() {
			defer close(h.ended)
			h.code = h.run(ctx)
		}()
	})
}

// wait returns when they have ended; begin is not called any more.
func (h *provenHooks) wait() Code {
	if h == nil || h.ended == nil {
		return OK
	}
	<-h.ended
	return h.code
}

func (h *provenHooks) run(ctx context.Context) Code {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // what is told to end with the gateway ends at once, not when that has
		select {
		case <-h.process.Asked():
			cancel()
		case <-ctx.Done():
		}
	}()
	runner := h.hookRunner(h.t, h.process.RunJob)
	marks := marksOf(h.t, hooks.Proven)
	for _, hook := range h.list {
		err := h.runOnce(ctx, runner, marks, hook)
		switch {
		case ctx.Err() != nil:
			return OK
		case err == nil:
		case h.t.Settings.HookFailure == settings.StopOnFailure:
			h.log.Error().Str("hint", provenHint(marks.Dir, err)).Msg(err.Error() + ", so the gateway is stopped")
			h.process.Stop(syscall.SIGTERM)
			return HookFailed
		default:
			h.log.Warn().Msg(err.Error() + "; going on, and again at the next start")
		}
	}
	return OK
}

// provenHint is what to do where a hook failed, or its mark cannot be read or written.
func provenHint(marks string, err error) string {
	first := "read its lines above"
	if !errors.As(err, new(*hooks.Failure)) {
		first = cmp.Or(atomicfile.Mend(marks, err), "ls -la "+shell.Quote(marks))
	}
	return first + "; to keep the gateway: --hook-failure=warn, or --hooks off"
}

// runOnce runs a hook unless it has run on this volume. The mark is put after it:
// one that is broken off runs again.
func (h *provenHooks) runOnce(ctx context.Context, runner hooks.Runner, marks hooks.Marks, hook hooks.Hook) error {
	if h.t.Settings.ProvenHooks == settings.Once {
		ran, err := marks.Has(hook)
		if err != nil {
			return err
		}
		if ran {
			h.log.Info().Str("hook", nameOfHook(hook)).Msg("hook has run on this volume already")
			return nil
		}
	}
	if err := h.runHook(ctx, runner, hook); err != nil {
		if ctx.Err() == nil {
			h.noteHook(marks, hook, err)
		}
		return err
	}
	return marks.Put(hook, h.now())
}
