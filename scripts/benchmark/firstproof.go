package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/reflectt/bootstrap/internal/identity"
	"github.com/reflectt/bootstrap/internal/probe"
)

const (
	// firstProofs is how often each release boots from an empty directory with
	// bootstrap, and as often without, by turns.
	firstProofs = 3
	// firstProofBudget is the ratio that pairing and its proof may cost.
	firstProofBudget = 1.02
	firstProofPort   = "39494"
	// firstProofLimit ends a boot that hangs.
	firstProofLimit = 5 * time.Minute
)

// firstProof measures the time from the start of a first boot until its pairing is
// proven, against the same release alone until it says that it is ready. The
// releases are given as -first RELEASE=ENTRY,….
func (b *bench) firstProof(ctx context.Context) error {
	b.table.section("a first boot until the pairing is proven")
	for given := range strings.SplitSeq(b.first, ",") {
		release, entry, found := strings.Cut(given, "=")
		if !found {
			return fmt.Errorf("-first wants RELEASE=ENTRY, not %q", given)
		}
		var proven, own, alone, ideal []time.Duration
		refused, early := 0, 0
		for range firstProofs {
			bare, err := b.firstBoot(ctx, release, "[gateway] ready", b.node, entry, "gateway")
			if err != nil {
				return err
			}
			served, err := b.firstClient(ctx, release, b.node, entry, "gateway")
			if err != nil {
				return err
			}
			with, err := b.firstBoot(ctx, release, "ready: the pairing is proven",
				b.program, "run", "--handover=supervise", "--prove-timeout=5m", "--", b.node, entry, "gateway")
			if err != nil {
				return err
			}
			alone, proven, own = append(alone, bare.last), append(proven, with.last), append(own, with.ready)
			ideal = append(ideal, served)
			refused, early = refused+with.refused, early+with.early
		}
		share := float64(median(proven)) / float64(median(alone))
		b.table.add(row{
			what: release, ours: milliseconds(median(proven)), against: "ready, alone " + milliseconds(median(alone)),
			ratio: ratio(float64(median(proven)), float64(median(alone))), budget: fmt.Sprint(firstProofBudget), over: share > firstProofBudget,
		})
		b.table.add(row{
			what: "  against ready in the same boots", ours: milliseconds(median(proven)), against: milliseconds(median(own)),
			ratio: ratio(float64(median(proven)), float64(median(own))),
		})
		b.table.add(row{
			what: "  against the first client let in, alone", ours: milliseconds(median(proven)), against: milliseconds(median(ideal)),
			ratio: ratio(float64(median(proven)), float64(median(ideal))),
		})
		b.table.add(row{
			what: "  handshakes a boot", ours: fmt.Sprintf("1, %d refused", refused),
			against: fmt.Sprintf("put off while it started: %.1f", float64(early)/firstProofs),
			budget:  "1", over: refused > 0,
		})
	}
	return nil
}

// untilProven is what a first boot took until a line was logged, and until the gateway
// called itself ready; zero where it had not yet. refused and early count
// handshakes that the gateway's own log calls failed.
type untilProven struct {
	last, ready    time.Duration
	refused, early int
}

// firstClient is how long a gateway without bootstrap takes until it has let in a
// client that has its token and asks as the proof does: nobody can be let in earlier.
func (b *bench) firstClient(ctx context.Context, release string, argv ...string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, firstProofLimit)
	defer cancel()
	id, err := identity.New(time.Now())
	if err != nil {
		return 0, err
	}
	let := make(chan time.Duration, 1)
	started := time.Now()
	go func() {
		verdict := probe.Run(ctx, probe.Options{
			URL: "ws://127.0.0.1:" + firstProofPort, Auth: probe.AuthShared, Identity: id, GatewayToken: "measured",
			Scopes: []string{"operator.read"}, Wait: firstProofLimit, Started: true,
		})
		took := time.Since(started)
		if !verdict.OK {
			took = 0
		}
		let <- took
	}()
	var took time.Duration
	_, err = b.bootUntil(ctx, release, func(string) bool {
		select {
		case took = <-let:
			return true
		default:
			return false
		}
	}, argv...)
	if err == nil && took == 0 {
		err = fmt.Errorf("%s let no client in", release)
	}
	return took, err
}

// firstBoot starts a gateway on an empty directory, until a line stands in its log.
func (b *bench) firstBoot(ctx context.Context, release, line string, argv ...string) (untilProven, error) {
	return b.bootUntil(ctx, release, func(log string) bool { return strings.Contains(log, line) }, argv...)
}

// bootUntil starts a gateway on an empty directory, until its log, or something else,
// is as wanted.
func (b *bench) bootUntil(ctx context.Context, release string, done func(log string) bool, argv ...string) (untilProven, error) {
	dir, err := os.MkdirTemp(b.work, "first-"+release+".")
	if err != nil {
		return untilProven{}, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	config, own := filepath.Join(dir, "openclaw.json"), filepath.Join(dir, "own-log")
	// Handshakes that fail are in the gateway's own log at this level only.
	content := fmt.Sprintf(`{"plugins": {"enabled": false}, "gateway": {"mode": "local"}, "logging": {"level": "debug", "file": %q}}`, own)
	if err := os.WriteFile(config, []byte(content), 0o600); err != nil {
		return untilProven{}, err
	}
	env := b.environ(filepath.Join(dir, "state"), "OPENCLAW_CONFIG_PATH="+config,
		"OPENCLAW_GATEWAY_PORT="+firstProofPort, "OPENCLAW_GATEWAY_TOKEN=measured")
	log := filepath.Join(dir, "log")
	started := time.Now()
	_, stop, err := b.start(ctx, env, log, argv...)
	if err != nil {
		return untilProven{}, err
	}
	defer stop()
	var took untilProven
	for {
		text, err := os.ReadFile(log)
		if err != nil {
			return untilProven{}, err
		}
		now := time.Since(started)
		if took.ready == 0 && strings.Contains(string(text), "[gateway] ready") {
			took.ready = now
		}
		if done(string(text)) {
			took.last = now
			break
		}
		if now > firstProofLimit || ctx.Err() != nil {
			return untilProven{}, fmt.Errorf("%s did not come to it in %v; its log ends with:\n%s", release, now, text[max(0, len(text)-2000):])
		}
		time.Sleep(5 * time.Millisecond)
	}
	text, err := os.ReadFile(own)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return untilProven{}, err
	}
	for entry := range strings.Lines(string(text)) {
		switch {
		case !strings.Contains(entry, `"handshake":"failed"`):
		case strings.Contains(entry, `"cause":"startup-sidecars-pending"`):
			took.early++
		default:
			took.refused++
		}
	}
	return took, nil
}
