package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// environ has nothing of the developer's own OpenClaw set-up in it.
func (b *bench) environ(stateDir string, more ...string) []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "LANG=C.UTF-8", "NO_COLOR=1", "NODE_NO_WARNINGS=1",
		"HOME=" + b.work, "TMPDIR=" + b.work, "OPENCLAW_STATE_DIR=" + stateDir,
	}, more...)
}

// command is a program that ends with this one: asked first, then killed.
func command(ctx context.Context, env []string, argv ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...) //nolint:forbidigo // the measurement is no init: nothing else waits for children
	cmd.Env = env
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	// An own group: Ctrl-C reaches this program alone, which then ends the child.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	return cmd
}

// timed runs a program to its end, and tells how long that took.
func timed(ctx context.Context, env []string, argv ...string) (time.Duration, error) {
	var stderr bytes.Buffer
	cmd := command(ctx, env, argv...)
	cmd.Stderr = &stderr
	started := time.Now()
	err := cmd.Run()
	took := time.Since(started)
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, stderr.String())
	}
	return took, err
}

// look tells whether a program is installed.
func look(program string) (path string, found bool) {
	path, err := exec.LookPath(program)
	return path, err == nil
}
