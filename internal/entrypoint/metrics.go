package entrypoint

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/reflectt/bootstrap/internal/approve"
	"github.com/reflectt/bootstrap/internal/bridge"
	"github.com/reflectt/bootstrap/internal/health"
	"github.com/reflectt/bootstrap/internal/probe"
	"github.com/reflectt/bootstrap/internal/settings"
)

// tally is what has happened since this process began, for /metrics. It holds no
// secret, and no name that a peer chooses.
type tally struct {
	mu                        sync.Mutex
	paired                    bool
	provenAt                  time.Time
	proven, refused, restarts int
	approved                  map[string]int // by ruleLabel
	pending                   int
	bridge                    map[bridge.EventKind]int
}

// pairedIs notes whether the store has our device.
func (c *tally) pairedIs(paired bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.paired = paired
}

func (c *tally) proof(verdict probe.Verdict) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !verdict.OK {
		c.refused++
		return
	}
	c.proven++
	c.provenAt = time.Now()
}

func (c *tally) restarted() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.restarts++
}

// answered counts what became of a pairing request.
func (c *tally) answered(s settings.Settings) func(approve.Record) {
	return func(r approve.Record) {
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case r.Action == approve.LeftPending && r.RequestID != "":
			c.pending++
		case r.Action == approve.Approving:
			if c.approved == nil {
				c.approved = map[string]int{}
			}
			rule, _ := approve.ParseRule(r.Rule) // which it was made from
			c.approved[ruleLabel(s, rule)]++
		}
	}
}

func (c *tally) heard(e bridge.Event) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bridge == nil {
		c.bridge = map[bridge.EventKind]int{}
	}
	c.bridge[e.Kind]++
}

// ruleLabel are the kinds of a rule's conditions, such as token+cidr: of a network
// only that there is one. browser says that --approve-browser narrows the rule.
func ruleLabel(s settings.Settings, rule approve.Rule) string {
	var kinds []string
	if s.ApproveBrowser {
		kinds = append(kinds, "browser")
	}
	for _, condition := range rule {
		kinds = append(kinds, string(condition.Kind))
	}
	return strings.Join(slices.Compact(kinds), "+")
}

func one(value float64) []health.Sample { return []health.Sample{{Value: value}} }

func truth(is bool) []health.Sample {
	if is {
		return one(1)
	}
	return one(0)
}

// metrics are all numbers, as they are now. Counters are there from the start, at 0.
func (e *Entrypoint) metrics(bridge *openedBridge) []health.Metric {
	_, proven := e.ready.state()
	c := &e.counted
	c.mu.Lock()
	defer c.mu.Unlock()
	at := 0.0
	if !c.provenAt.IsZero() {
		at = float64(c.provenAt.UnixMilli()) / 1000
	}
	out := []health.Metric{
		{Name: "bootstrap_build_info", Help: "1; the label is the version of bootstrap.", Label: "version", Samples: []health.Sample{{Of: e.Version, Value: 1}}},
		{Name: "bootstrap_paired", Help: "Whether the pairing store has this state directory's own device.", Samples: truth(c.paired)},
		{Name: "bootstrap_proven", Help: "Whether the last proof has passed, and the gateway has not restarted since.", Samples: truth(proven)},
		{Name: "bootstrap_last_proof_timestamp_seconds", Help: "When the gateway last let the device in with its token alone; 0 before the first time. A proof that holds is not repeated.", Samples: one(at)},
		{Name: "bootstrap_proofs_total", Help: "Proofs, by how they ended.", Counter: true, Label: "result", Samples: []health.Sample{
			{Of: "proven", Value: float64(c.proven)}, {Of: "failed", Value: float64(c.refused)},
		}},
		{Name: "bootstrap_gateway_restarts_total", Help: "How often the gateway's listening socket has gone, while its process went on.", Counter: true, Samples: one(float64(c.restarts))},
		{Name: "bootstrap_orphans_reaped_total", Help: "Orphaned processes that were reaped while the gateway ran.", Counter: true, Samples: one(float64(e.orphans.Load()))},
	}
	if len(e.Settings.Approve) > 0 {
		out = append(out, c.approvals(e.Settings)...)
	}
	if bridge != nil {
		out = append(out, c.bridges(bridge.bridge)...)
	}
	return out
}

// approvals is for who has the lock, as is bridges.
func (c *tally) approvals(s settings.Settings) []health.Metric {
	byRule := map[string]int{}
	maps.Copy(byRule, c.approved)
	for _, rule := range s.Approve {
		byRule[ruleLabel(s, rule)] += 0
	}
	var samples []health.Sample
	for _, rule := range slices.Sorted(maps.Keys(byRule)) {
		samples = append(samples, health.Sample{Of: rule, Value: float64(byRule[rule])})
	}
	return []health.Metric{
		{Name: "bootstrap_approvals_total", Help: "Pairing requests that a rule of --approve has admitted, by the kinds of its conditions.", Counter: true, Label: "rule", Samples: samples},
		{Name: "bootstrap_requests_left_pending_total", Help: "Pairing requests that no rule has admitted; of a flood, those in the log.", Counter: true, Samples: one(float64(c.pending))},
	}
}

func (c *tally) bridges(b *bridge.Bridge) []health.Metric {
	var samples []health.Sample
	for _, kind := range []bridge.EventKind{
		bridge.Joined, bridge.LetIn, bridge.PassedOn, bridge.Refused, bridge.Unreachable, bridge.Silent, bridge.Full, bridge.Ended,
	} {
		samples = append(samples, health.Sample{Of: string(kind), Value: float64(c.bridge[kind])})
	}
	return []health.Metric{
		{Name: "bootstrap_bridge_clients", Help: "Clients that are connected to the bridge, those that are not let in yet included.", Samples: one(float64(b.Clients()))},
		{Name: "bootstrap_bridge_events_total", Help: "What has happened to clients of the bridge.", Counter: true, Label: "event", Samples: samples},
	}
}
