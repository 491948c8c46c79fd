//go:build linux && amd64

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// harness runs every scenario with every fault.
type harness struct {
	program, dir   string
	short, verbose bool
	// near: only faults at calls with that in their key; empty is all of them.
	near string
	// quiet: failures are what is wanted.
	quiet   bool
	workers int

	counts map[cell]int
	titles []string
}

// cell is one of the table's.
type cell struct {
	title string
	kind  kind
}

// job is a scenario on one store.
type job struct {
	scenario
	store storeKind
}

// failed is a case and what was wrong with it.
type failed struct {
	cell
	fault  string // what was done
	wrong  []string
	stderr string
}

// oneCase is one run with one fault.
type oneCase struct {
	job
	inject *injection
	loss   *loss
}

// run runs all cases of the scenarios.
func (h *harness) run(chosen []scenario) (failures []failed, err error) {
	h.counts, h.titles = map[cell]int{}, nil
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var cases []oneCase
	for _, s := range chosen {
		for _, store := range s.stores {
			found, wrong, err := h.record(job{s, store})
			if err != nil {
				return nil, err
			}
			for _, f := range wrong {
				failures = append(failures, f)
				h.tell(len(failures), f)
			}
			cases = append(cases, found...)
		}
	}
	cases = spread(cases)
	queue := make(chan oneCase)
	results := make(chan failed)
	var workers sync.WaitGroup
	for n := range h.workers {
		workers.Go(func() {
			// A thread of its own: what it waits for is nobody else's.
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			for c := range queue {
				results <- h.try(filepath.Join(h.dir, fmt.Sprint(n)), c)
			}
		})
	}
	go func() {
		for _, c := range cases {
			queue <- c
		}
		close(queue)
		workers.Wait()
		close(results)
	}()
	for done := 1; ; done++ {
		result, more := <-results
		if !more {
			return failures, nil
		}
		h.counts[result.cell]++
		if len(result.wrong) > 0 {
			failures = append(failures, result)
			h.tell(len(failures), result)
		}
		if done%500 == 0 || done == len(cases) {
			fmt.Fprintf(os.Stderr, "faults: %d of %d cases, %d failures\n", done, len(cases), len(failures))
		}
	}
}

// spread puts the cases into an order in which every part has some of everything.
func spread(cases []oneCase) (all []oneCase) {
	for first := range inShort {
		for i := first; i < len(cases); i += inShort {
			all = append(all, cases[i])
		}
	}
	return all
}

// tellAtMost is how many failures are told without -v: one fault shows in many cases.
const tellAtMost = 25

func (h *harness) tell(number int, f failed) {
	if h.quiet || !h.verbose && number > tellAtMost {
		return
	}
	fmt.Printf("FAILED %s: %s\n  %s\n", f.title, f.fault, strings.Join(f.wrong, "\n  "))
	if h.verbose {
		fmt.Print(f.stderr)
	}
}

// record runs a scenario without a fault, and lists what can be done to it.
func (h *harness) record(j job) (cases []oneCase, failures []failed, err error) {
	w, err := newWorld(filepath.Join(h.dir, fmt.Sprintf("record.%d", len(h.titles))), h.program, j.scenario, j.store)
	if err != nil {
		return nil, nil, err
	}
	defer w.close()
	h.titles = append(h.titles, w.title())
	base, err := snapshot(w.root)
	if err != nil {
		return nil, nil, err
	}
	result, err := w.program(w.command).trace(nil)
	if err != nil {
		return nil, nil, err
	}
	wrong := w.judge(result, nil)
	if result.code != w.success {
		wrong = append(wrong, fmt.Sprintf("it ended with %d", result.code))
	}
	if len(wrong) > 0 {
		failures = append(failures, failed{cell: cell{w.title(), "none"}, wrong: wrong, stderr: result.stderr})
	}
	for _, inject := range h.sample(injections(result.calls)) {
		cases = append(cases, oneCase{job: j, inject: inject})
	}
	for _, loss := range h.sampleLosses(losses(base, result, w)) {
		cases = append(cases, oneCase{job: j, loss: loss})
	}
	return cases, failures, nil
}

// inShort is one case in how many the short form takes.
const inShort = 32

// sample is every kind's first, and one in some of the rest.
func (h *harness) sample(all []*injection) (some []*injection) {
	counts := map[kind]int{}
	for _, inject := range all {
		if !h.short || h.near != "" {
			if strings.Contains(inject.key, h.near) {
				some = append(some, inject)
			}
			continue
		}
		if counts[inject.kind]%inShort == 0 {
			some = append(some, inject)
		}
		counts[inject.kind]++
	}
	return some
}

func (h *harness) sampleLosses(all []*loss) (some []*loss) {
	for i, loss := range all {
		if h.near == "" && (!h.short || i%inShort == 0) {
			some = append(some, loss)
		}
	}
	return some
}

// try runs one case.
func (h *harness) try(dir string, c oneCase) (result failed) {
	if c.loss != nil {
		return h.tryLoss(dir, c)
	}
	result = failed{cell: cell{c.name + ", " + string(c.store), c.inject.kind}}
	result.fault = fmt.Sprintf("%s at %s, number %d", c.inject.kind, c.inject.key, c.inject.nth)
	w, err := newWorld(dir, h.program, c.scenario, c.store)
	if err != nil {
		result.wrong = []string{err.Error()}
		return result
	}
	defer w.close()
	ran, err := w.program(w.command).trace(c.inject)
	result.stderr = ran.stderr
	switch {
	case err != nil:
		result.wrong = []string{err.Error()}
	case !ran.hit:
		result.wrong = []string{"the call did not come"}
	default:
		result.wrong = w.judge(ran, c.inject)
	}
	return result
}

// judge looks at what a run has left, and lets the next one go over it.
func (w *world) judge(result ran, fault *injection) (wrong []string) {
	wrong = w.always()
	killed := result.code == 137
	switch {
	case result.code == w.success:
		wrong = append(wrong, undurable(result.calls)...)
		wrong = append(wrong, w.complete(result.stdout)...)
	case !killed:
		wrong = append(wrong, w.explained(result, fault)...)
	}
	return append(wrong, w.goOn()...)
}

// goOn runs the command once more, and then what a later start does.
func (w *world) goOn() (wrong []string) {
	again, err := w.run(w.command)
	if err != nil || again.code != w.success {
		return []string{fmt.Sprintf("again it ended with %d: %v %s", again.code, err, again.stderr)}
	}
	wrong = slices.Concat(w.always(), w.complete(again.stdout), w.leftovers())
	if w.settle == nil || len(wrong) > 0 {
		return wrong
	}
	before, err := w.readStore()
	if err != nil {
		return []string{err.Error()}
	}
	last, err := w.run(w.settle)
	if err != nil || last.code != 0 {
		return []string{fmt.Sprintf("a later start ended with %d: %v %s", last.code, err, last.stderr)}
	}
	after, err := w.readStore()
	if err != nil {
		return []string{err.Error()}
	}
	for id, whole := range before.whole {
		if after.whole[id] != whole {
			wrong = append(wrong, "a later start changed "+id)
		}
	}
	if len(after.whole) != len(before.whole) {
		wrong = append(wrong, "a later start added something")
	}
	return append(wrong, w.always()...)
}

// print ends with the table.
func (h *harness) print(failures []failed, took time.Duration) {
	if len(h.titles) == 0 {
		return
	}
	bad := map[cell]int{}
	for _, f := range failures {
		bad[f.cell]++
	}
	fmt.Printf("%-26s", "cases (failures)")
	for _, k := range kinds() {
		fmt.Printf("%13s", k)
	}
	fmt.Println()
	total := map[kind]int{}
	for _, title := range h.titles {
		fmt.Printf("%-26s", title)
		for _, k := range kinds() {
			total[k] += h.counts[cell{title, k}]
			fmt.Printf("%13s", counted(h.counts[cell{title, k}], bad[cell{title, k}]))
		}
		fmt.Println()
	}
	fmt.Printf("%-26s", "all")
	all := 0
	for _, k := range kinds() {
		all += total[k]
		fmt.Printf("%13d", total[k])
	}
	fmt.Printf("\n%d cases, %d failures, %s\n", all, len(failures), took.Round(time.Second))
}

func counted(cases, failures int) string {
	if failures > 0 {
		return fmt.Sprintf("%d (%d)", cases, failures)
	}
	return fmt.Sprint(cases)
}
