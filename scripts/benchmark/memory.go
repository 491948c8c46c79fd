package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// anonymousBudget is in kB.
const anonymousBudget = 5 << 10

// memory is what a process holds, in kB.
type memory struct{ anonymous, file, resident, proportional, peak int }

func readMemory(pid int) (memory, error) {
	values := map[string]int{}
	for _, name := range []string{"status", "smaps_rollup"} {
		f, err := os.Open(fmt.Sprintf("/proc/%d/%s", pid, name))
		if errors.Is(err, fs.ErrPermission) && name == "smaps_rollup" {
			continue // not root: a supervisor hides its memory, and only the proportional size is wanted
		}
		if err != nil {
			return memory{}, err
		}
		for lines := bufio.NewScanner(f); lines.Scan(); {
			if fields := strings.Fields(lines.Text()); len(fields) == 3 && fields[2] == "kB" {
				values[strings.TrimSuffix(fields[0], ":")], _ = strconv.Atoi(fields[1])
			}
		}
		if err := f.Close(); err != nil {
			return memory{}, err
		}
	}
	return memory{values["RssAnon"], values["RssFile"], values["VmRSS"], values["Pss"], values["VmHWM"]}, nil
}

func (b *bench) tellMemory(what string, ours memory, against string) {
	b.table.add(row{
		what: what + ": anonymous", ours: fmt.Sprintf("%d kB", ours.anonymous), against: against,
		ratio: ratio(float64(ours.anonymous), anonymousBudget) + " of the budget", budget: "5 MiB", over: ours.anonymous > anonymousBudget,
	})
	b.table.add(row{
		what: "  file, resident, proportional, peak",
		ours: fmt.Sprintf("%d, %d, %d, %d kB", ours.file, ours.resident, ours.proportional, ours.peak),
	})
}

// trivialMemory measures bootstrap beside a child that only waits, and tini
// beside the same child.
func (b *bench) trivialMemory(ctx context.Context) error {
	child := filepath.Join(b.work, "openclaw")
	if err := os.WriteFile(child, []byte("#!/bin/sh\nexec sleep 600\n"), 0o700); err != nil {
		return err
	}
	env := b.environ(filepath.Join(b.work, "trivial"), "OPENCLAW_GATEWAY_TOKEN=measured", "BOOTSTRAP_PROVE_TIMEOUT=1s")
	ours, err := b.settled(ctx, env, "the pairing is NOT proven", b.program, "run", "--handover=supervise", "--", child, "gateway", "--port", "39491")
	if err != nil {
		return err
	}
	against := "tini is missing"
	if tini, found := look("tini"); found {
		theirs, err := b.settled(ctx, env, "", tini, "--", "sleep", "600")
		if err != nil {
			return err
		}
		against = fmt.Sprintf("tini %d kB", theirs.anonymous)
	}
	b.table.section("memory while supervising")
	b.tellMemory("a trivial child", ours, against)
	return nil
}

// settled starts a program, waits for a line in its log, lets it rest for a
// moment, measures it, and ends it.
func (b *bench) settled(ctx context.Context, env []string, line string, argv ...string) (memory, error) {
	log := filepath.Join(b.work, "log")
	cmd, done, err := b.start(ctx, env, log, argv...)
	if err != nil {
		return memory{}, err
	}
	defer done()
	if err := waitForLine(ctx, log, line, 30*time.Second); err != nil {
		return memory{}, err
	}
	time.Sleep(rest)
	return readMemory(cmd.Process.Pid)
}

// rest is how long a process has after its work until it is measured.
const rest = 2 * time.Second

// start runs a program with its output in a file; done ends it and waits.
func (b *bench) start(ctx context.Context, env []string, log string, argv ...string) (cmd *exec.Cmd, done func(), err error) {
	output, err := os.Create(log)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	cmd = command(ctx, env, argv...)
	cmd.Stdout, cmd.Stderr = output, output
	if err := cmd.Start(); err != nil {
		cancel()
		_ = output.Close()
		return nil, nil, err
	}
	return cmd, func() {
		cancel()
		_ = cmd.Wait() // however it ends: it was told to
		_ = output.Close()
	}, nil
}

func waitForLine(ctx context.Context, log, line string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline) && ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		text, err := os.ReadFile(log)
		if err != nil {
			return err
		}
		if strings.Contains(string(text), line) {
			return nil
		}
	}
	text, _ := os.ReadFile(log)
	return fmt.Errorf("%q was not logged; the log ends with:\n%s", line, text[max(0, len(text)-2000):])
}
