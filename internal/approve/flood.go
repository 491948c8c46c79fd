package approve

import (
	"fmt"
	"time"
)

// Requests that stay pending are told at most this often.
const (
	notesEach  = time.Minute
	notesAtAll = 60
)

// noteBudget counts what was told, and what was not.
type noteBudget struct {
	since   time.Time
	told    int
	skipped int
}

func (b *noteBudget) take(now time.Time) bool {
	if now.Sub(b.since) > notesEach {
		b.since, b.told = now, 0
	}
	if b.told >= notesAtAll {
		b.skipped++
		return false
	}
	b.told++
	return true
}

// flush says how many were skipped.
func (b *noteBudget) flush(now time.Time, tell func(Record)) {
	if b.skipped == 0 {
		return
	}
	tell(Record{Action: LeftPending, Reason: fmt.Sprintf("%d more requests stay pending and are not told one by one", b.skipped)})
	b.skipped = 0
}
