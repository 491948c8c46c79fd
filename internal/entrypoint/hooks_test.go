package entrypoint

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/reflectt/bootstrap/internal/hooks"
	"github.com/reflectt/bootstrap/internal/launch"
	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/settings"
)

func TestHooksThatCannotBeReadComeWithAHint(t *testing.T) {
	dir := t.TempDir()
	stage := filepath.Join(dir, "pre-start.d")
	if err := errors.Join(os.Mkdir(stage, 0o755), os.Symlink("nothing", filepath.Join(stage, "10-a"))); err != nil {
		t.Fatal(err)
	}
	if _, err := HooksBelow(dir); err == nil || pairing.HintOf(err) == "" {
		t.Errorf("no hint: %v", err)
	}
}

// A hook that ran, and whose mark found the disk full, has no lines to read.
func TestAMarkThatCannotBeWrittenIsNoFaultOfTheHook(t *testing.T) {
	full := fmt.Errorf("cannot note that hook a has run: %w", &fs.PathError{Op: "write", Path: "/data/a", Err: syscall.ENOSPC})
	broken := fmt.Errorf("cannot tell whether hook a has run: %w", fs.ErrInvalid)
	for want, err := range map[string]error{
		"read its lines above; ": &hooks.Failure{Code: 3}, "the volume is full": full, "ls -la '/data/my marks'; ": broken,
	} {
		if hint := provenHint("/data/my marks", err); !strings.HasPrefix(hint, want) || !strings.HasSuffix(hint, "--hooks off") {
			t.Errorf("%v: %q", err, hint)
		}
	}
}

// What has run is done: a gateway that works is not stopped over a volume that is full.
func TestAHookWhoseMarkCannotBeWrittenHasRun(t *testing.T) {
	dir := t.TempDir()
	marks := hooks.Marks{Dir: filepath.Join(dir, "bootstrap", "proven")}
	script := filepath.Join(dir, "10-a")
	if err := os.WriteFile(script, []byte("#!/bin/sh\ntouch "+dir+"/bootstrap\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	e := &Entrypoint{Target: &pairing.Target{
		Settings:   settings.Settings{ProvenHooks: settings.Once, HookTimeout: time.Hour},
		Invocation: pairing.Invocation{Log: zerolog.New(&log)},
	}}
	h := provenHooks{Entrypoint: e}
	hook := hooks.Hook{Stage: hooks.Proven, Name: "10-a", Path: script, Hash: "a"}
	if err := h.runOnce(t.Context(), e.hookRunner(launch.RunJob), marks, hook); err != nil {
		t.Errorf("got %v", err)
	}
	if !strings.Contains(log.String(), "it runs again at the next start") {
		t.Errorf("it said:\n%s", log.String())
	}
}
