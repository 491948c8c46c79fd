package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	idleTitle = "at rest as pid 1 beside a gateway"
	settling  = 15 * time.Second // after the gateways have started
	idleTime  = 60 * time.Second
)

// idler is a PID 1 with nothing to do.
type idler struct {
	memory
	used time.Duration // CPU time of all its threads since it started
}

// idle compares the two that are PID 1 in containers, over the same minute.
func (b *bench) idle(ctx context.Context, pids map[string]int) error {
	b.table.section(idleTitle)
	if err := sleep(ctx, settling); err != nil {
		return err
	}
	before, err := readIdlers(pids)
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v: its rows stay empty\n", err)
		b.table.add(row{what: "memory, CPU time", against: "PID 1 is not visible"})
		return nil
	}
	if err := sleep(ctx, idleTime); err != nil {
		return err
	}
	after, err := readIdlers(pids)
	if err != nil {
		return err
	}
	ours, tini := after["bootstrap"], after["tini"]
	kilobytes := func(what string, ours, tini int) {
		b.table.add(row{
			what: what, ours: fmt.Sprintf("%d kB", ours), against: fmt.Sprintf("tini %d kB", tini),
			ratio: ratio(float64(ours), float64(tini)),
		})
	}
	kilobytes("anonymous memory", ours.anonymous, tini.anonymous)
	kilobytes("resident memory", ours.resident, tini.resident)
	usedOurs, usedTini := ours.used-before["bootstrap"].used, tini.used-before["tini"].used
	b.table.add(row{
		what: fmt.Sprintf("CPU time in %.0f s", idleTime.Seconds()),
		ours: milliseconds(usedOurs), against: "tini " + milliseconds(usedTini), ratio: ratio(float64(usedOurs), float64(usedTini)),
	})
	return nil
}

// readIdlers reads both; it fails where the engine's processes are not this
// machine's.
func readIdlers(pids map[string]int) (map[string]idler, error) {
	idlers := map[string]idler{}
	for name, pid := range pids {
		command, err := os.ReadFile(fmt.Sprintf("/proc/%d/comm", pid))
		if err != nil {
			return nil, fmt.Errorf("cannot see PID 1 of a container: %w", err)
		}
		// Docker calls its tini docker-init.
		if found := strings.TrimSpace(string(command)); found != "bootstrap" && found != "docker-init" && found != "tini" {
			return nil, fmt.Errorf("process %d is %s, not PID 1 of a container", pid, found)
		}
		var one idler
		if one.memory, err = readMemory(pid); err != nil {
			return nil, err
		}
		if one.used, err = processorTime(pid); err != nil {
			return nil, err
		}
		idlers[name] = one
	}
	return idlers, nil
}

// processorTime is what a process has used so far, in nanoseconds: /proc counts in
// steps of 10 ms, more than a PID 1 uses in a minute.
func processorTime(pid int) (time.Duration, error) {
	const wholeProcess = 2 // CPUCLOCK_SCHED, as clock_getcpuclockid makes it
	var used unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|wholeProcess), &used); err != nil {
		return 0, fmt.Errorf("cannot read the CPU time of process %d: %w", pid, err)
	}
	return time.Duration(used.Nano()), nil
}

func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
