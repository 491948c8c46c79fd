package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// row is one line of the table. An empty budget is measured for information.
type row struct {
	what, ours, against, ratio, budget string
	over                               bool
}

// table collects rows below headings.
type table struct{ lines []string }

func (t *table) section(title string) {
	if len(t.lines) > 0 {
		t.lines = append(t.lines, "\t\t\t\t\t") // a wholly empty line would end the alignment
	}
	t.lines = append(t.lines, strings.ToUpper(title)+"\tbootstrap\tagainst\tratio\tbudget\t")
}

func (t *table) add(r row) {
	verdict := ""
	switch {
	case r.over:
		verdict = "OVER BUDGET"
	case r.budget != "":
		verdict = "ok"
	}
	t.lines = append(t.lines, strings.Join([]string{"  " + r.what, r.ours, r.against, r.ratio, r.budget, verdict}, "\t"))
}

func (t *table) writeTo(to io.Writer) error {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, line := range t.lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(to, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

func ratio(ours, other float64) string {
	if other <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", ours/other)
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
}

func median[T cmp.Ordered](values []T) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
