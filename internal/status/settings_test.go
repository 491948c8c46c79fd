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

func TestATrustedNetworkHasTheProxiesInIt(t *testing.T) {
	for _, c := range []struct {
		have, wanted string
		want         bool
	}{
		{"172.18.0.0/16", "172.18.0.5", true}, {"172.18.0.0/16", "172.18.4.0/24", true}, {"172.18.0.5", "172.18.0.5/32", true},
		{"::1", "::1", true}, {"172.18.4.0/24", "172.18.0.0/16", false}, {"172.18.0.0/16", "172.19.0.5", false},
		{"172.18.0.0/16", "::1", false}, {"a-name", "172.18.0.5", false},
	} {
		if got := contains(c.have, c.wanted); got != c.want {
			t.Errorf("%s in %s: %v", c.wanted, c.have, got)
		}
	}
}
