package entrypoint

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
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

// usualHooks is the default directory of hooks.
const usualHooks = "/etc/bootstrap"

// hookGrace is how long a hook may take to end after SIGTERM. A command that
// a signal ends has 15 s in all.
const hookGrace = 5 * time.Second

// hookRest is how long the end of a hook's output is waited for, where something that
// it left running holds it open.
const hookRest = 2 * time.Second

// findHooks looks for what shall run before the gateway and once it is proven. A
// command that is no gateway's must start whatever lies there.
func (e *Entrypoint) findHooks() (hooks.Set, error) {
	set, err := HooksBelow(e.Settings.Hooks)
	if err == nil && len(set.Proven) > 0 && e.Settings.Handover == settings.Exec {
		err = pairing.Usage(fmt.Errorf("%s needs bootstrap to stay, so it does not go with --handover=exec", filepath.Dir(set.Proven[0].Path)),
			"leave one of them out, or --hooks off")
	}
	if err != nil && !e.Command.Understood {
		e.Log.Warn().Err(err).Str("hint", pairing.HintOf(err)).Msg("no hook is run for this command, which is no gateway's")
		return hooks.Set{}, nil
	}
	for _, file := range set.PassedOver {
		e.Log.Warn().Str("file", file.Path).Str("hint", file.Hint).Msg("no hook: " + file.Reason)
	}
	return set, err
}

// HooksBelow finds the hooks of a directory; empty is the usual one, off none.
func HooksBelow(dir string) (hooks.Set, error) {
	if dir == "off" {
		return hooks.Set{}, nil
	}
	if dir != "" {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return hooks.Set{}, pairing.Usage(fmt.Errorf("--hooks (BOOTSTRAP_HOOKS): %s is no directory that this user can read", dir), "ls -ld "+shell.Quote(dir))
		}
	} else {
		dir = usualHooks
	}
	set, err := hooks.Find(dir)
	if err != nil {
		return hooks.Set{}, pairing.Usage(fmt.Errorf("--hooks (BOOTSTRAP_HOOKS): %w", err), cmp.Or(pairing.HintOf(err), "ls -lRa "+shell.Quote(dir)))
	}
	return set, nil
}

// hookError says that a hook failed whose failure ends the start.
type hookError struct{ failure error }

func (e *hookError) Error() string { return e.failure.Error() + ", so the gateway is not started" }
func (e *hookError) Class() string { return "hook" }
func (e *hookError) Hint() string {
	return "read its lines above; to start the gateway all the same: --hook-failure=warn, or --hooks off"
}

// hookRunner runs a hook with the gateway's environment, and its output into the log.
func (e *Entrypoint) hookRunner(start hooks.Start) hooks.Runner {
	return hooks.Runner{
		Start: start, Env: e.Environ(), Timeout: e.Settings.HookTimeout, Grace: hookGrace, Rest: hookRest,
		Said: func(hook hooks.Hook, line string) {
			e.Log.Info().Str("hook", NameOfHook(hook)).Str("line", line).Msg("hook says")
		},
	}
}

// NameOfHook is the name of a hook for people.
func NameOfHook(hook hooks.Hook) string { return string(hook.Stage) + "/" + hook.Name }

// runHook runs one, and says so.
func (e *Entrypoint) runHook(ctx context.Context, runner hooks.Runner, hook hooks.Hook) error {
	started := time.Now()
	e.Log.Info().Str("hook", NameOfHook(hook)).Str("at_most", runner.Timeout.String()).Msg("running a hook")
	err := runner.Run(ctx, hook)
	if err == nil {
		e.Log.Info().Str("hook", NameOfHook(hook)).Str("took", time.Since(started).Round(10*time.Millisecond).String()).Msg("hook has ended")
	}
	return err
}

// preStart runs what comes before the gateway. A signal ends the hook that runs, and
// the start with it.
func (e *Entrypoint) preStart(ctx context.Context, signals *launch.Signals) error {
	list := e.hooks.PreStart
	if len(list) == 0 {
		return nil
	}
	ctx, done := signals.Context(ctx)
	runner := e.hookRunner(launch.RunJob)
	var failed error
	for _, hook := range list {
		err := e.runHook(ctx, runner, hook)
		if ctx.Err() != nil {
			break
		}
		e.noteHook(MarksOf(e.Target, hooks.PreStart), hook, err)
		if err != nil && e.Settings.HookFailure == settings.StopOnFailure && e.Command.Understood {
			failed = &hookError{failure: err}
			break
		}
		if err != nil {
			e.Log.Warn().Msg(err.Error() + "; continuing")
		}
	}
	if stopped := done(); stopped != nil {
		return stopped
	}
	return failed
}

// lookAgain takes in what the hooks have changed: the gateway's port, say, in its
// configuration. A bridge has its gateway's address already.
func (e *Entrypoint) lookAgain(bridge *openedBridge) {
	if len(e.hooks.PreStart) == 0 || !e.Command.Understood {
		return
	}
	before := e.Installation
	now, err := e.InspectAgain()
	if err != nil || now.StateDir != before.StateDir {
		return // it is that of the settings, which are older than the hooks
	}
	e.Installation = now
	if now.Listen.URL() == before.Listen.URL() {
		return
	}
	e.Log.Info().Str("before", before.Listen.URL()).Str("now", now.Listen.URL()).Msg("a hook has changed where the gateway listens")
	if e.Listener != nil {
		e.StartsGateway()
	}
	if bridge != nil {
		e.Log.Warn().Str("hint", "name it in the gateway's command (--port "+strconv.Itoa(now.Listen.Port)+"), or start again").
			Msg("the bridge does not reach the gateway there")
	}
}

// MarksOf is where it is noted what became of a stage's hooks.
func MarksOf(t *pairing.Target, stage hooks.Stage) hooks.Marks {
	return hooks.Marks{Dir: filepath.Join(seed.Dir(t.StateDir), strings.TrimSuffix(string(stage), ".d"))}
}

// noteHook notes for "bootstrap status" that a hook failed, or that it no longer does.
// It is not worth a start.
func (e *Entrypoint) noteHook(marks hooks.Marks, hook hooks.Hook, failed error) {
	var err error
	switch {
	case failed != nil:
		err = marks.PutFailure(hook, time.Now(), failed)
	case marks.Failure(hook) != "":
		err = marks.Drop(hook)
	}
	if err != nil {
		e.Log.Warn().Str("hint", atomicfile.HintFor(marks.Dir, err)).Msg(err.Error())
	}
}

// provenHooks run once the pairing is proven for the first time, beside the
// gateway; nil where there are none.
type provenHooks struct {
	*Entrypoint
	process *launch.Process

	begun sync.Once
	ended chan struct{} // nil until they have begun
	err   error         // set where a failure shall end the gateway
}

// begin starts them; once more is nothing.
func (h *provenHooks) begin(ctx context.Context) {
	if h == nil || len(h.hooks.Proven) == 0 {
		return
	}
	h.begun.Do(func() {
		h.ended = make(chan struct{})
		go func() {
			defer close(h.ended)
			h.err = h.run(ctx)
		}()
	})
}

// wait returns when they have ended; begin is not called any more.
func (h *provenHooks) wait() error {
	if h == nil || h.ended == nil {
		return nil
	}
	<-h.ended
	return h.err
}

func (h *provenHooks) run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // what is told to end with the gateway ends at once, not when that has
		select {
		case <-h.process.Asked():
			cancel()
		case <-ctx.Done():
		}
	}()
	runner := h.hookRunner(h.process.RunJob)
	marks := MarksOf(h.Target, hooks.Proven)
	for _, hook := range h.hooks.Proven {
		err := h.runOnce(ctx, runner, marks, hook)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
		case h.Settings.HookFailure == settings.StopOnFailure && h.Command.Understood:
			h.Log.Error().Str("hint", provenHint(marks.Dir, err)).Msg(err.Error() + ", so the gateway is stopped")
			h.process.Stop(syscall.SIGTERM)
			return &hookError{failure: err}
		default:
			h.Log.Warn().Msg(err.Error() + "; continuing, and it runs again at the next start")
		}
	}
	return nil
}

// provenHint is what to do where a hook failed, or its mark cannot be read or written.
func provenHint(marks string, err error) string {
	first := "read its lines above"
	if !errors.As(err, new(*hooks.Failure)) {
		first = markHint(marks, err)
	}
	return first + "; to keep the gateway: --hook-failure=warn, or --hooks off"
}

func markHint(marks string, err error) string {
	return cmp.Or(atomicfile.HintFor(marks, err), "ls -la "+shell.Quote(marks))
}

// runOnce runs a hook unless it has run on this volume. The mark is put after it:
// one that is broken off runs again.
func (h *provenHooks) runOnce(ctx context.Context, runner hooks.Runner, marks hooks.Marks, hook hooks.Hook) error {
	if h.Settings.ProvenHooks == settings.Once {
		ran, err := marks.Has(hook)
		if err != nil {
			return err
		}
		if ran {
			h.Log.Info().Str("hook", NameOfHook(hook)).Msg("hook has run on this volume already")
			return nil
		}
	}
	if err := h.runHook(ctx, runner, hook); err != nil {
		if ctx.Err() == nil {
			h.noteHook(marks, hook, err)
		}
		return err
	}
	if err := marks.Put(hook, time.Now()); err != nil {
		h.Log.Warn().Err(err).Str("hint", markHint(marks.Dir, err)).Msg("it runs again at the next start, for it cannot be noted that it has run")
	}
	return nil
}
