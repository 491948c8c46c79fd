package status

import (
	"strings"
	"testing"
	"time"
)

func TestAClockThatWasNeverSetIsTold(t *testing.T) {
	for _, now := range []time.Time{time.Unix(0, 0), time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC)} {
		wrong := clockFinding(now)
		if wrong == nil || !strings.Contains(wrong.What, now.UTC().Format("2006-01-02")) || wrong.Fix == "" {
			t.Errorf("%v: %+v", now, wrong)
		}
	}
	if wrong := clockFinding(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); wrong != nil {
		t.Errorf("a clock that is right: %+v", wrong)
	}
}
