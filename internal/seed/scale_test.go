package seed_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/reflectt/bootstrap/internal/seed"
)

// manyDevices are devices that keep their keys to themselves.
func manyDevices(t *testing.T, count int) (devices []seed.Device) {
	t.Helper()
	for i := range count {
		devices = append(devices, device(t, fmt.Sprintf("c-%d", i), newIdentity(t), false, "operator.read"))
	}
	return devices
}

// What is allocated tells what is done, whatever the machine: where each device is
// compared with each other one, four times as many take sixteen times as much.
func TestWhatIsPlannedGrowsWithTheDevicesAndNotWithTheirSquare(t *testing.T) {
	eachStore(t, func(t *testing.T, dir string) {
		plan := map[string]func([]seed.Device) error{
			"a prune": func(devices []seed.Device) error { _, err := seed.PlanPrune(options(dir), devices...); return err },
			"pairing": func(devices []seed.Device) error {
				_, _, err := seed.Plan(context.Background(), options(dir), devices...)
				return err
			},
		}
		cost := map[string][]float64{}
		for _, count := range []int{100, 400} {
			devices := manyDevices(t, count)
			for i := range devices {
				devices[i].Made = true
			}
			err := withSession(t, options(dir), func(session *seed.Session) error {
				if _, err := session.Prune(context.Background()); err != nil {
					return err
				}
				_, err := session.Pair(context.Background(), devices...)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			for name, do := range plan {
				cost[name] = append(cost[name], testing.AllocsPerRun(1, func() {
					if err := do(devices); err != nil {
						t.Error(err)
					}
				}))
			}
		}
		for name, is := range cost {
			if is[1] > 5*is[0] {
				t.Errorf("%s: %.0f allocations for 100 devices, %.0f for 400", name, is[0], is[1])
			}
		}
	})
}
