package main

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const (
	mergeRounds = "20x"
	mergeBudget = 60 * time.Millisecond // at 10,000 devices
	mergeMost   = 10000
)

// mergeLine is what a Go benchmark prints: store, devices, nanoseconds.
var mergeLine = regexp.MustCompile(`(?m)^BenchmarkMerge/(\w+)/(\d+)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op`)

// merges runs the Go benchmarks of merging one device into larger and larger
// stores, on the same disk.
func (b *bench) merges(ctx context.Context) error {
	cmd := command(ctx, append(os.Environ(), "TMPDIR="+b.work),
		"go", "test", "-run", "^$", "-bench", "^BenchmarkMerge$", "-benchtime", mergeRounds, "./internal/seed")
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	found := mergeLine.FindAllStringSubmatch(string(out), -1)
	if len(found) == 0 {
		return fmt.Errorf("no benchmark ran:\n%s", out)
	}
	b.table.section("merge of one device into")
	var before time.Duration
	for _, match := range found {
		devices, _ := strconv.Atoi(match[2])
		nanoseconds, _ := strconv.ParseFloat(match[3], 64)
		took := time.Duration(nanoseconds)
		line := row{what: fmt.Sprintf("%s of %d", strings.ReplaceAll(match[1], "_", " "), devices), ours: milliseconds(took)}
		if devices > 1 {
			line.against = fmt.Sprintf("one of %d", devices/10)
			if devices == 100 {
				line.against = "one of 1"
			}
			line.ratio = "× " + ratio(float64(took), float64(before))
		}
		if devices == mergeMost {
			line.budget, line.over = "60 ms", took > mergeBudget
		}
		before = took
		b.table.add(line)
	}
	return nil
}
