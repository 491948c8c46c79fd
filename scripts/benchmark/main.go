// Command benchmark measures bootstrap beside the bare command, beside a node
// script that does the same, and beside a real gateway. It owns "make bench"
// and is no part of the program that is shipped.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// bench is one run: what is measured, where, and the table so far.
type bench struct {
	release, program, node, entry string
	limit                         string // the program that only reads and writes; see limit/
	first                         string // releases for the first proof, RELEASE=ENTRY,…
	work                          string // a directory on a real disk, removed afterwards
	table                         table
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:forbidigo // the deferred work of this program is done by run
	}
}

func run(ctx context.Context) error {
	b := &bench{}
	flag.StringVar(&b.release, "release", "", "release of the gateway")
	flag.StringVar(&b.program, "program", "", "the bootstrap to measure")
	flag.StringVar(&b.limit, "limit", "", "the program that only reads and writes")
	flag.StringVar(&b.node, "node", "", "the node that runs the gateway")
	flag.StringVar(&b.entry, "entry", "", "the gateway's openclaw.mjs")
	flag.StringVar(&b.first, "first", "", "releases whose first boot is measured, as RELEASE=ENTRY,...")
	flag.Parse()
	started := time.Now()

	cache, err := os.UserCacheDir()
	if err != nil {
		return err
	}
	// Not the temp directory, which may be memory.
	if b.work, err = os.MkdirTemp(cache, "bootstrap-bench."); err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(b.work) }()
	if b.program, err = filepath.Abs(b.program); err != nil {
		return err
	}
	if b.limit, err = filepath.Abs(b.limit); err != nil {
		return err
	}
	if err := b.notInMemory(ctx); err != nil {
		return err
	}
	// The gateway leaves the migrated state directory that later boots are measured on.
	for _, step := range []struct {
		name    string
		measure func(context.Context) error
	}{
		{"size", b.size},
		{"memory beside a trivial child", b.trivialMemory},
		{"a real gateway: memory and probe", b.realGateway},
		{"the bridge", b.bridge},
		{"the first proof", b.firstProof},
		{"approving", b.approval},
		{"time before exec", b.boots},
		{"merging", b.merges},
		{"many clients", b.scale},
		{"containers", b.containers},
	} {
		if !chosen(step.name, flag.Args()) {
			continue
		}
		fmt.Fprintf(os.Stderr, "bench: %s\n", step.name)
		if err := step.measure(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	fmt.Fprintln(os.Stdout)
	if err := b.table.writeTo(os.Stdout); err != nil {
		return err
	}
	_, err = fmt.Fprintf(os.Stdout, "\n%.0f s; times are medians, except for merging: means. Load now: %s\n", time.Since(started).Seconds(), load())
	return err
}

// chosen tells whether a step is to be measured: all are where none is named.
func chosen(step string, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool { return strings.Contains(step, name) })
}

// load tells how busy the machine was: much more than its cores, and the times
// say little.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	average, _, _ := strings.Cut(string(text), " ")
	return fmt.Sprintf("%s on %d cores", average, runtime.NumCPU())
}

// sizeBudget is in bytes.
const sizeBudget = 15.5e6

func (b *bench) size(context.Context) error {
	info, err := os.Stat(b.program)
	if err != nil {
		return err
	}
	size := float64(info.Size())
	b.table.section("size")
	b.table.add(row{
		what: "binary", ours: fmt.Sprintf("%d bytes", info.Size()),
		ratio: ratio(size, sizeBudget) + " of the budget", budget: "15.5 MB", over: size > sizeBudget,
	})
	return nil
}
