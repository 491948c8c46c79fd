//go:build linux && amd64

// Command injector is what scripts/faults does its work with: it makes system calls
// of bootstrap fail, one at a time, or kills it there, and looks at what is left. It
// is no part of the program that is shipped.
package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"
)

func main() {
	if err := mainOf(); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func mainOf() error {
	var h harness
	program := flag.String("program", "bin/bootstrap", "the program under test")
	only := flag.String("only", "", "the scenarios with that in their name alone")
	flag.BoolVar(&h.short, "short", false, "every scenario and every kind of fault, but one case in some")
	flag.BoolVar(&h.verbose, "v", false, "say what was done to every case that failed")
	noBroken := flag.Bool("no-broken", false, "leave out the programs that were broken on purpose")
	mounted := flag.Bool("mounted", false, "try the loss of power alone, on real filesystems (root)")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bootstrap-faults.")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	if h.dir, err = filepath.EvalSymlinks(dir); err != nil {
		return err
	}
	if h.program, err = filepath.Abs(*program); err != nil {
		return err
	}
	h.workers = runtime.NumCPU()
	start := time.Now()
	var chosen []scenario
	for _, s := range scenarios() {
		if strings.Contains(s.name, *only) {
			chosen = append(chosen, s)
		}
	}
	if len(chosen) == 0 {
		return fmt.Errorf("no scenario has %q in its name", *only)
	}
	var failures []failed
	if *mounted {
		failures, err = h.replay(chosen)
	} else {
		failures, err = h.run(chosen)
	}
	if err != nil {
		return err
	}
	h.print(failures, time.Since(start))
	if !*noBroken && !*mounted {
		failures = append(failures, h.breakIt()...)
	}
	if len(failures) > 0 {
		return fmt.Errorf("%d failures", len(failures))
	}
	return nil
}
