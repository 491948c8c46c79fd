package cli

import (
	"testing"

	"github.com/reflectt/bootstrap/internal/pairing"
	"github.com/reflectt/bootstrap/internal/status"
)

// A directory may have thousands of devices that nobody named. What is allocated for
// one does not depend on how many flags there are.
func TestAHintForOneOfManyDevicesCostsLittle(t *testing.T) {
	devices := make([]status.Device, 1000)
	for i := range devices {
		devices[i] = status.Device{Name: "agent-1", DeviceID: "0123456789abcdef", Drift: status.NotWanted}
	}
	target := &pairing.Target{Invocation: pairing.Invocation{OwnCommand: (&app{}).command}}
	allocations := testing.AllocsPerRun(1, func() { status.DriftFindings(target, devices) })
	if most := 40.0 * float64(len(devices)); allocations > most {
		t.Errorf("%.0f allocations for %d devices, more than %.0f", allocations, len(devices), most)
	}
}
