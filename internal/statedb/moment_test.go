package statedb

import (
	"encoding/json"
	"math"
	"testing"
	"time"
)

// A row may hold any number, and JSON has no year 10000.
func TestATimeOfARowIsOneThatJSONHas(t *testing.T) {
	east, west := time.FixedZone("east", 14*60*60), time.FixedZone("west", -12*60*60)
	for _, ms := range []int64{math.MinInt64, -1, 0, 1795362805122, 9e15, math.MaxInt64} {
		for _, zone := range []*time.Location{time.UTC, east, west} {
			if _, err := json.Marshal(Moment(ms).Add(time.Hour).In(zone)); err != nil {
				t.Errorf("%d: %v", ms, err)
			}
		}
	}
	if got := Moment(1795362805122).UnixMilli(); got != 1795362805122 {
		t.Errorf("got %d", got)
	}
	if !Moment(9e15).After(time.Now()) || Moment(-9e15).After(time.Now()) {
		t.Error("what is over is not, or the other way round")
	}
}
