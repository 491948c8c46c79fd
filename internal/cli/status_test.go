package cli

import (
	"strings"
	"testing"
	"time"
)

func TestAClockThatWasNeverSetIsTold(t *testing.T) {
	for _, now := range []time.Time{time.Unix(0, 0), time.Date(2019, 12, 31, 23, 59, 59, 0, time.UTC)} {
		wrong := clockFinding(now)
		if wrong == nil || !strings.Contains(wrong.What, now.UTC().Format("2006-01-02")) || wrong.Mend == "" {
			t.Errorf("%v: %+v", now, wrong)
		}
	}
	if wrong := clockFinding(time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)); wrong != nil {
		t.Errorf("a clock that is right: %+v", wrong)
	}
}

// A directory may have thousands of devices that nobody named. What is allocated for
// one does not depend on how many flags there are.
func TestAHintForOneOfManyDevicesCostsLittle(t *testing.T) {
	devices := make([]statusDevice, 1000)
	for i := range devices {
		devices[i] = statusDevice{Name: "agent-1", DeviceID: "0123456789abcdef", Drift: notWanted}
	}
	a := &app{}
	allocations := testing.AllocsPerRun(1, func() { a.driftFindings(devices) })
	if most := 40.0 * float64(len(devices)); allocations > most {
		t.Errorf("%.0f allocations for %d devices, more than %.0f", allocations, len(devices), most)
	}
}
