package main

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

//go:embed first-boot.js
var firstBootScript string

//go:embed later-boot.js
var laterBootScript string

// rounds is how often each boot is measured, each time bare, by bootstrap and
// by node, one after another, so that all three see the same machine.
const rounds = 60

// boot is one kind of start.
type boot struct {
	name     string
	stateDir string
	script   string
	fresh    bool // the state folder is removed before each start
}

func (b *bench) boots(ctx context.Context) error {
	gateway, err := b.trivialGateway()
	if err != nil {
		return err
	}
	// A seeded folder that no gateway has opened yet.
	files := filepath.Join(b.work, "files")
	if _, err := timed(ctx, b.bootEnv(files), b.bootArgv(gateway)...); err != nil {
		return err
	}
	b.table.section("time added before exec")
	if err := b.floor(ctx); err != nil {
		return err
	}
	for _, boot := range []boot{
		{"first boot, empty state", filepath.Join(b.work, "empty"), firstBootScript, true},
		{"later boots, JSON files", files, laterBootScript, false},
		{"later boots, database of " + b.release, b.migrated(), laterBootScript, false},
	} {
		if err := b.boot(ctx, boot, gateway); err != nil {
			return fmt.Errorf("%s: %w", boot.name, err)
		}
	}
	return nil
}

// floor is what the shortest of all runs takes: no other can be quicker.
func (b *bench) floor(ctx context.Context) error {
	var took []time.Duration
	for range rounds / 3 {
		one, err := timed(ctx, b.environ(b.work), b.program, "version")
		if err != nil {
			return err
		}
		took = append(took, one)
	}
	b.table.add(row{what: "(bootstrap version, all of it)", ours: milliseconds(median(took))})
	return nil
}

// trivialGateway installs a package that is understood as the gateway, with its
// release, and ends at once.
func (b *bench) trivialGateway() (path string, err error) {
	end, found := look("true")
	if !found {
		return "", fmt.Errorf("true is missing")
	}
	program, err := os.ReadFile(end)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(b.work, "node_modules", "openclaw")
	path = filepath.Join(folder, "openclaw.mjs")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return "", err
	}
	manifest := fmt.Sprintf(`{"name": "openclaw", "version": %q}`, b.release)
	if err := os.WriteFile(filepath.Join(folder, "package.json"), []byte(manifest), 0o600); err != nil {
		return "", err
	}
	return path, os.WriteFile(path, program, 0o700)
}

func (b *bench) bootEnv(stateDir string) []string {
	return b.environ(stateDir, "OPENCLAW_GATEWAY_TOKEN=measured")
}

func (b *bench) bootArgv(gateway string) []string {
	return append([]string{b.program, "run", "--handover=exec", "--"}, gatewayArgv(gateway)...)
}

func gatewayArgv(gateway string) []string { return []string{gateway, "gateway", "--port", "39490"} }

// boot measures one kind of start.
func (b *bench) boot(ctx context.Context, boot boot, gateway string) error {
	env := b.bootEnv(boot.stateDir)
	bare := gatewayArgv(gateway)
	variants := [][]string{bare, b.bootArgv(gateway), append([]string{b.node, "-e", boot.script}, bare...)}
	took := make([][]time.Duration, len(variants))
	syncs := make([]int, len(variants))
	var diskSyncs []time.Duration

	prepare := func() error {
		if boot.fresh {
			return os.RemoveAll(boot.stateDir)
		}
		return nil
	}
	for i := range rounds + 1 {
		for v, argv := range variants {
			if err := prepare(); err != nil {
				return err
			}
			one, err := timed(ctx, env, argv...)
			if err != nil {
				return err
			}
			if i > 0 { // the first round warms up
				took[v] = append(took[v], one)
			}
		}
		one, err := diskSync(b.work)
		if err != nil {
			return err
		}
		diskSyncs = append(diskSyncs, one)
	}
	for v, argv := range variants {
		if err := prepare(); err != nil {
			return err
		}
		var err error
		if syncs[v], err = b.countSyncs(ctx, env, argv...); err != nil {
			return err
		}
	}
	alone := median(took[0])
	ours, node := median(took[1])-alone, median(took[2])-alone
	b.tellBoot(boot, ours, node, syncs, median(diskSyncs))
	return nil
}

const (
	startAllowance = 5 * time.Millisecond
	nodeAllowance  = 0.1
	tolerance      = 1.1 // "about"
)

func (b *bench) tellBoot(boot boot, ours, node time.Duration, syncs []int, sync time.Duration) {
	line := row{
		what: boot.name, ours: milliseconds(ours), against: "node -e " + milliseconds(node),
		ratio: ratio(float64(ours), float64(node)),
	}
	switch {
	case !boot.fresh:
		line.budget = "1/10 of node, about 5 ms"
		line.over = float64(ours) > nodeAllowance*float64(node) || float64(ours) > tolerance*float64(startAllowance)
	case syncs[1] >= 0:
		limit := time.Duration(syncs[1])*sync + startAllowance
		line.budget = fmt.Sprintf("%d × %s + 5 ms = %s", syncs[1], milliseconds(sync), milliseconds(limit))
		line.over = ours > limit
	}
	b.table.add(line)
	b.table.add(row{
		what: fmt.Sprintf("  fsyncs (one takes %s)", milliseconds(sync)), ours: count(syncs[1]),
		against: "node -e " + count(syncs[2]), ratio: ratio(float64(syncs[1]), float64(syncs[2])),
	})
}
