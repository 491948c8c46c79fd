package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// workaround is what stands in front of the gateway in place of bootstrap.
type workaround struct{ name, what string }

// workarounds have the names of scripts/bench-containers.
func workarounds() []workaround {
	return []workaround{
		{"loop", "loop of devices list, approve"},
		{"files", "node script, JSON files"},
		{"doctor", "node script, doctor --fix"},
	}
}

// starts are all runs of one way: from "docker run" to the first call of the CLI
// in another container that succeeds, and the processor time of the gateway's
// container until then. Both are in seconds.
type starts struct {
	wall, processor []float64
	failed          bool // not every run ended with a call that succeeds
}

// containers measures what scripts/bench-containers starts, which needs a Docker
// engine, or root. Where neither is, the rows say so and stay empty.
func (b *bench) containers(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	cmd, lines, release, err := startContainers(ctx)
	if err != nil {
		return err
	}
	missing, err := b.readContainers(ctx, lines)
	release()
	if err != nil {
		cancel()
	}
	if err := errors.Join(err, cmd.Wait()); err != nil {
		return err
	}
	if missing != "" {
		fmt.Fprintf(os.Stderr, "bench: no containers: %s: their rows stay empty\n", missing)
		b.table.section(startsTitle)
		b.table.add(row{what: "time, CPU time", against: missing})
		b.table.section(idleTitle)
		b.table.add(row{what: "memory, CPU time", against: missing})
	}
	return nil
}

// startContainers starts the script; it removes its containers after release.
func startContainers(ctx context.Context) (cmd *exec.Cmd, lines io.Reader, release func(), err error) {
	cmd = command(ctx, os.Environ(), "scripts/bench-containers")
	cmd.Stderr = os.Stderr
	// The whole group: a shell waits for its child before it heeds a signal.
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = 2 * time.Minute
	input, err := cmd.StdinPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	lines, err = cmd.StdoutPipe()
	if err != nil {
		return nil, nil, nil, err
	}
	return cmd, lines, func() { _ = input.Close() }, cmd.Start()
}

// readContainers fills the table from the script's lines. It ends with the last
// of them, or with what is missing.
func (b *bench) readContainers(ctx context.Context, lines io.Reader) (missing string, err error) {
	runs := map[string]*starts{"bootstrap": {}}
	for _, way := range workarounds() {
		runs[way.name] = &starts{}
	}
	pids := map[string]int{}
	for scanner := bufio.NewScanner(lines); len(pids) < 2 && scanner.Scan(); {
		word, rest, _ := strings.Cut(scanner.Text(), " ")
		fields := strings.Fields(rest)
		switch {
		case word == "missing":
			return rest, nil
		case word == "start" && len(fields) == 3 && runs[fields[0]] != nil:
			fmt.Fprintf(os.Stderr, "bench: %s: %s s, %s CPU s\n", fields[0], fields[1], fields[2])
			runs[fields[0]].add(fields[1], fields[2])
		case word == "idle" && len(fields) == 2:
			if pids[fields[0]], err = strconv.Atoi(fields[1]); err != nil {
				return "", err
			}
		default:
			return "", fmt.Errorf("scripts/bench-containers said %q", scanner.Text())
		}
	}
	if len(pids) < 2 {
		return "", errors.New("scripts/bench-containers ended before its time")
	}
	if runs["bootstrap"].failed {
		return "", errors.New("no call succeeded beside bootstrap")
	}
	b.tellStarts(runs)
	return "", b.idle(ctx, pids)
}

// add takes the words of one run, which are no numbers where it has failed.
func (s *starts) add(wall, processor string) {
	one, err := strconv.ParseFloat(wall, 64)
	other, errOther := strconv.ParseFloat(processor, 64)
	if err != nil || errOther != nil {
		s.failed = true
		return
	}
	s.wall, s.processor = append(s.wall, one), append(s.processor, other)
}

const startsTitle = `from "docker run" to a CLI call from another container`

func (b *bench) tellStarts(runs map[string]*starts) {
	b.table.section(startsTitle)
	for _, measure := range []struct {
		what string
		of   func(*starts) []float64
	}{
		{"time", func(s *starts) []float64 { return s.wall }},
		{"the gateway container's CPU time", func(s *starts) []float64 { return s.processor }},
	} {
		ours := median(measure.of(runs["bootstrap"]))
		for _, way := range workarounds() {
			line := row{what: measure.what, ours: seconds(ours), against: way.what + " never"}
			if !runs[way.name].failed {
				theirs := median(measure.of(runs[way.name]))
				line.against, line.ratio = way.what+" "+seconds(theirs), ratio(ours, theirs)
			}
			b.table.add(line)
		}
	}
}

func seconds(s float64) string { return fmt.Sprintf("%.2f s", s) }
