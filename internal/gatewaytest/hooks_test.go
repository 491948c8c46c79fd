package gatewaytest_test

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/reflectt/bootstrap/internal/gatewaytest"
)

// hooked is a gateway's state directory with a hooks directory beside it.
type hooked struct {
	state, dir, log string
}

func newHooked(t *testing.T) hooked {
	t.Helper()
	h := hooked{state: gatewaytest.CopyState(t, "2026.9.6"), dir: t.TempDir()}
	h.log = filepath.Join(h.dir, "log")
	return h
}

// write makes a hook, such as proven.d/10-channel.
func (h hooked) write(t *testing.T, name, script string) {
	t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatal(err)
	}
}

func (h hooked) start(t *testing.T, flags ...string) *gatewaytest.Gateway {
	t.Helper()
	return gatewaytest.Start(t, gatewaytest.Options{
		Version: "2026.9.6", StateDir: h.state, Token: "sekret", Env: []string{"LOG=" + h.log},
		Prefix: append([]string{gatewaytest.Bootstrap(t), "run", "--hooks", h.dir}, append(flags, "--")...),
	})
}

// says fails where the hooks have noted something else, since the last time.
func (h hooked) says(t *testing.T, want string) {
	t.Helper()
	data, err := os.ReadFile(h.log)
	if got := strings.ReplaceAll(string(data), "\n", " "); err != nil && !os.IsNotExist(err) || strings.TrimSpace(got) != want {
		t.Errorf("the hooks noted %q, want %q", got, want)
	}
	_ = os.Remove(h.log)
}

func TestHooksOfProvenRunOnceAVolume(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	h.write(t, "pre-start.d/10-before", `echo before >>"$LOG"`)
	h.write(t, "proven.d/10-later", `echo later >>"$LOG"`)
	rounds := []struct{ flags, said, want string }{
		{"", `"hook":"proven.d/10-later","took"`, "before later"},
		{"", "hook has run on this volume already", "before"},
		{"--proven-hooks=always", `"hook":"proven.d/10-later","took"`, "before later"},
	}
	for i, c := range rounds {
		g := h.start(t, strings.Fields(c.flags)...)
		g.WaitOutput(t, c.said)
		if code := g.Stop(t); code != 0 {
			t.Errorf("start %d: the gateway ended with %d", i, code)
		}
		h.says(t, c.want)
	}
	// Another content is another hook; one that fails has not run.
	h.write(t, "proven.d/10-later", `echo fails >>"$LOG"; exit 3`)
	g := h.start(t)
	if code := g.Wait(t, patience); code != 21 {
		t.Errorf("with a hook that fails: exit %d", code)
	}
	if !strings.Contains(g.Output(), "hook proven.d/10-later ended with 3, so the gateway is stopped") {
		t.Errorf("it is not explained:\n%s", g.Output())
	}
	h.says(t, "before fails")
	g = h.start(t, "--hook-failure=warn")
	g.WaitOutput(t, "ended with 3; continuing, and it runs again at the next start")
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
	h.says(t, "before fails")
}

// On an empty volume the CLI makes the database, before the gateway's first boot.
func TestAHookMayUseTheCLIOnAnEmptyVolume(t *testing.T) {
	t.Parallel()
	h := hooked{state: t.TempDir(), dir: t.TempDir()}
	h.log = filepath.Join(h.dir, "log")
	// The CLI is what bootstrap, the hook's parent, is about to start the gateway with.
	h.write(t, "pre-start.d/10-mode", `set -e
set -- $(tr '\0' ' ' </proc/$PPID/cmdline)
while [ "$1" != -- ]; do shift; done
"$2" "$3" config set gateway.mode local
"$2" "$3" config get gateway.mode >>"$LOG"`)
	g := h.start(t, "--handover=supervise")
	g.WaitOutput(t, "ready: the pairing is proven")
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
	h.says(t, "local")
}

// A gateway that is told to end has minutes for its work; a hook beside it has not.
func TestAHookEndsWithTheGateway(t *testing.T) {
	t.Parallel()
	h := newHooked(t)
	h.write(t, "proven.d/10-waits", `trap 'echo told >>"$LOG"; exit 9' TERM; echo up; while :; do sleep 0.05; done`)
	g := h.start(t)
	g.WaitOutput(t, `"line":"up"`)
	if code := g.Stop(t); code != 0 {
		t.Errorf("the gateway ended with %d", code)
	}
	h.says(t, "told")
	if _, err := os.Stat(filepath.Join(h.state, "bootstrap", "proven", "10-waits")); !os.IsNotExist(err) {
		t.Errorf("a hook that was broken off counts as run: %v", err)
	}
}

// Before there is a gateway the hook is what a signal is for; as PID 1 its orphans
// are ours.
func TestASignalEndsAHookAndTheStart(t *testing.T) {
	eachInit(t, func(t *testing.T, p *program) {
		script := "trap 'echo told >told; exit 9' TERM\n"
		if p.pid1 {
			// It goes on when its orphan is gone, which a zombie is not.
			script += "( sleep 0.2 & echo $! >orphan )\nwhile kill -0 \"$(cat orphan)\" 2>/dev/null; do sleep 0.05; done\n"
		}
		hooks := hooked{dir: filepath.Join(p.dir, "hooks")}
		hooks.write(t, "pre-start.d/10-waits", script+"echo up >waits\nwhile :; do sleep 0.05; done")
		hooks.write(t, "pre-start.d/20-never", "echo never >never")
		p.env = append(p.env, "BOOTSTRAP_HOOKS="+hooks.dir)
		p.start(t, nil, logFile(t, p), p.gateway(t, "")...)
		p.awaitFile(t, "waits")
		p.signal(t, syscall.SIGTERM)
		p.ends(t, 128+int(syscall.SIGTERM))
		p.mustHave(t, "told")
		for _, name := range []string{"never", "up"} {
			if _, err := os.Stat(filepath.Join(p.dir, name)); err == nil {
				t.Errorf("%s is there: the start went on", name)
			}
		}
	})
}
